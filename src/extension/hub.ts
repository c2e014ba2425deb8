/** *Open from Hugging Face…*: from a name to a model on this machine, with nothing asked of the Hub that was not asked for. */
import * as vscode from 'vscode';
import type { Engine } from '../engine/host/engine.js';
import { SinkscopeError } from '../errors.js';
import { isCached } from '../hub/cache.js';
import { bytesToCome, chosenModel, download } from '../hub/download.js';
import { type HubModel, type Listing, modelsOf, repositoryOf } from '../hub/repository.js';
import { type Hub, hubOf, listRepository } from '../hub/server.js';
import { inspectRemote } from '../hub/structure.js';
import { hubCache } from '../models/caches.js';
import { besideModel } from '../models/folder.js';
import { anatomyInWords } from './modelsView.js';
import { plain } from './plain.js';
import { pick } from './surfaces.js';
import { bytesInWords } from './words.js';

/** What programs name; people are asked. */
export interface HubGiven {
  readonly repository: string;
  readonly file?: string;
}

/**
 * Path of the model that was downloaded; undefined where it was dismissed.
 *
 * @param endpoint address of another hub than the environment names; empty: none
 * @throws SinkscopeError `network`, `save` or `input` that says what to do; `cancelled` where it was stopped
 */
export async function openFromHub(engine: Engine, endpoint: string, given?: HubGiven): Promise<string | undefined> {
  const hub = hubOf(process.env, endpoint);
  const words = given?.repository ?? (await enterRepository(hub));
  if (words === undefined) return undefined;
  const repository = repositoryOf(words, hub.endpoint);
  const cache = hubCache(process.env);
  const title = vscode.l10n.t('Asking {0} for {1}', hub.endpoint, repository.id);
  const listing = await whileShown(title, (_, signal) => listRepository(hub, repository, signal));
  const models = modelsOf(listing, besideModel);
  const named = given?.file ?? repository.file;
  const isChosen = named !== undefined || models.length < 2;
  const model = isChosen ? chosenModel(listing, models, named) : await pickFile(listing, models, cache);
  if (!model) return undefined;
  // Who named all of it has chosen.
  if (given === undefined && !(await isWanted(hub, listing, model, { engine, cache }))) return undefined;
  return whileShown(vscode.l10n.t('Downloading {0}', repository.id), async (progress, signal) => {
    const run = download(hub, listing, model, { cache, engine, signal });
    let step = await run.next();
    for (let before = 0; !step.done; step = await run.next()) {
      const { done, of } = step.value;
      const share = of === 0 ? 100 : (100 * done) / of;
      const message = vscode.l10n.t('{0} of {1}', bytesInWords(done), bytesInWords(of));
      progress.report({ message, increment: Math.max(0, share - before) });
      before = share;
    }
    return step.value;
  });
}

function enterRepository({ endpoint }: Hub): Thenable<string | undefined> {
  return vscode.window.showInputBox({
    title: vscode.l10n.t('Open from Hugging Face'),
    prompt: vscode.l10n.t(
      'A model repository: owner/name, or the address of its page. It is looked up on {0}.',
      endpoint,
    ),
    placeHolder: 'onnx-community/gpt2-ONNX',
    ignoreFocusOut: true,
    validateInput: (value) => {
      try {
        repositoryOf(value, endpoint);
        return undefined;
      } catch (error) {
        return SinkscopeError.is(error) ? error.message : String(error);
      }
    },
  });
}

async function pickFile(listing: Listing, models: readonly HubModel[], cache: string): Promise<HubModel | undefined> {
  const there = await Promise.all(
    models.map(async ({ files }) =>
      (await Promise.all(files.map((file) => isCached(cache, listing, file)))).every(Boolean),
    ),
  );
  const choices = models.map((model, i) => {
    const { path, precision, bytes, files } = model;
    const isThere = there[i] === true;
    const facts = [
      bytesInWords(bytes),
      ...(precision === undefined ? [] : [vscode.l10n.t('{0} by its name', precision)]),
      ...(isThere ? [vscode.l10n.t('on this machine')] : []),
    ];
    return {
      label: path,
      icon: isThere ? 'check' : 'cloud-download',
      description: facts.join(' · '),
      detail:
        files.length > 1
          ? vscode.l10n.t(
              'with {0}',
              files
                .slice(1)
                .map((file) => file.path)
                .join(', '),
            )
          : undefined,
      model,
    };
  });
  const options = { title: vscode.l10n.t('Which file of {0}?', listing.repository.id), ignoreFocusOut: true };
  return (await pick(choices, options))?.model;
}

/** Asks whether to download, and shows before it what the model is, where that is wanted. */
async function isWanted(
  hub: Hub,
  listing: Listing,
  model: HubModel,
  { engine, cache }: { readonly engine: Engine; readonly cache: string },
): Promise<boolean> {
  const bytes = await bytesToCome(cache, listing, model.files);
  if (bytes === 0) return true;
  const isRest = bytes < model.files.reduce((sum, { size }) => sum + size, 0);
  const size = bytesInWords(bytes);
  const take = {
    label: isRest ? vscode.l10n.t('Download the Remaining {0}', size) : vscode.l10n.t('Download {0}', size),
    icon: 'cloud-download',
    description: vscode.l10n.t('into {0}', cache),
    action: 'download' as const,
  };
  const look = {
    label: vscode.l10n.t('Look Inside First'),
    icon: 'list-tree',
    description: vscode.l10n.t('fetches its graph, without its weights'),
    action: 'look' as const,
  };
  const options = { title: model.path, ignoreFocusOut: true };
  const picked = await pick([take, look], options);
  if (picked?.action !== 'look') return picked?.action === 'download';
  const inspection = await whileShown(vscode.l10n.t('Looking into {0}', model.path), (progress, signal) =>
    inspectRemote(hub, listing, model, {
      engine,
      signal,
      said: (read) => progress.report({ message: vscode.l10n.t('{0} read', bytesInWords(read)) }),
    }),
  );
  const facts = anatomyInWords(inspection).map(({ label, value, icon }) => {
    return { label, icon, description: value, action: undefined };
  });
  return (await pick([take, ...facts], options))?.action === 'download';
}

/** Does something while a notification shows how far it is, and can stop it. */
async function whileShown<T>(
  title: string,
  action: (progress: vscode.Progress<{ message?: string; increment?: number }>, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: plain(title), cancellable: true };
  return vscode.window.withProgress(options, async (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => controller.abort());
    return action(progress, controller.signal);
  });
}
