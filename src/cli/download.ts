import { Command, Option } from 'commander';
import type { Engine } from '../engine/host/engine.js';
import { eachAs, type Progress } from '../experiments/experiment.js';
import { chosenModel, download, type Transfer } from '../hub/download.js';
import { type HubModel, modelsOf, repositoryOf } from '../hub/repository.js';
import { hubOf, listRepository } from '../hub/server.js';
import { inspectRemote } from '../hub/structure.js';
import { hubCache } from '../models/caches.js';
import { besideModel } from '../models/folder.js';
import { inspected } from './inspect.js';
import { drawProgress } from './progress.js';
import { columns } from './table.js';
import { print, remark } from './terminal.js';

interface Options {
  readonly file?: string;
  readonly list?: boolean;
  readonly inspect?: boolean;
}

export function downloadCommand(engine: Engine, signal: AbortSignal): Command {
  return new Command('download')
    .description("download a model from the Hugging Face Hub into the Hub's own cache, and print its path")
    .argument('<repository>', 'owner/name, owner/name@revision, or the address of its page or of a file')
    .option('--file <path>', 'which of its .onnx files, as in onnx/model.onnx, where it has several')
    .addOption(
      new Option('--list', 'show its .onnx files with all that comes with them; nothing is downloaded').conflicts(
        'file',
      ),
    )
    .option('--inspect', 'show what the parts of the model are, before it is downloaded: its weights are left out')
    .action(async (words: string, { file, list, inspect }: Options) => {
      const hub = hubOf(process.env);
      const repository = repositoryOf(words, hub.endpoint);
      const listing = await listRepository(hub, repository, signal);
      const models = modelsOf(listing, besideModel);
      if (listing.refused > 0) remark([`Left out: ${listing.refused} files whose names lead out of their folder.`]);
      if (list && models.length > 0) return print(listed(models));
      const model = chosenModel(listing, models, file ?? repository.file);
      if (inspect) {
        let bytes = 0;
        const said = (total: number) => {
          bytes = total;
        };
        print(inspected(await inspectRemote(hub, listing, model, { engine, signal, said })));
        return remark([`Read ${megabytes(bytes)} of ${megabytes(model.bytes)}.`]);
      }
      const run = download(hub, listing, model, { cache: hubCache(process.env), engine, signal });
      print([await drawProgress(eachAs(run, inMegabytes))]);
    });
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const inMegabytes = ({ path, done, of }: Transfer): Progress => ({
  phase: 'MB',
  done: Math.floor(done / 1e6),
  of: Math.ceil(of / 1e6),
  note: path,
});

function listed(models: readonly HubModel[]): string[] {
  const rows = models.map(({ path, bytes, precision = '', files }) => [
    megabytes(bytes),
    precision,
    `${path}${files.length > 1 ? ` and ${files.length - 1} more` : ''}`,
  ]);
  return columns(['size', 'precision by name'], 'files', rows);
}
