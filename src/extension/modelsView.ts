/** The list of models in the side bar; a model opens to what was recognized in it, in words. */
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { Inspection } from '../engine/contract/inspection.js';
import type { Engine } from '../engine/host/engine.js';
import { isSandboxed } from '../engine/host/sandbox.js';
import { toProblem } from '../errors.js';
import type { FoundModel, Origin } from '../models/find.js';
import type { ModelKind, ModelKinds } from './modelKinds.js';
import type { Models } from './models.js';
import { contributedId } from './names.js';
import { treeItem } from './surfaces.js';
import type { Watch, Watched } from './watch.js';
import { bytesInWords, numberInWords, originInWords } from './words.js';

export type Item =
  | { readonly kind: 'origin'; readonly origin: Origin; readonly models: readonly FoundModel[] }
  | {
      readonly kind: 'model';
      readonly model: FoundModel;
      readonly chosen: boolean;
      readonly watched?: Watched | undefined;
      /** Undefined as long as the file was not read. */
      readonly about?: ModelKind | undefined;
    }
  | { readonly kind: 'fact'; readonly fact: Fact }
  /** That something was left out of the list. */
  | { readonly kind: 'left'; readonly text: string };

/** A model as commands are given it: its line here, its file in the Explorer, or by programs its path. */
export type ModelGiven = string | vscode.Uri | Extract<Item, { kind: 'model' }>;

/** The path of its file. */
export function givenModel(given: ModelGiven): string {
  if (typeof given === 'string') return given;
  return given instanceof vscode.Uri ? given.fsPath : given.model.file;
}

export interface Fact {
  readonly label: string;
  readonly value: string;
  readonly icon: string;
}

export function registerModelsView(models: Models, watch: Watch, engine: Engine, kinds: ModelKinds): vscode.Disposable {
  const changes = new vscode.EventEmitter<undefined>();
  const provider: vscode.TreeDataProvider<Item> = {
    onDidChangeTreeData: changes.event,
    getTreeItem: lineOf,
    async getChildren(item) {
      if (item?.kind === 'model') return factsOf(engine, item.model);
      if (item?.kind === 'fact' || item?.kind === 'left') return [];
      const chosen = await models.chosen().catch(() => undefined);
      const asItem = (model: FoundModel): Item => {
        const watched = watch.watched?.model.file === model.file ? watch.watched : undefined;
        return { kind: 'model', model, chosen: model.file === chosen?.file, watched, about: kinds.of(model) };
      };
      if (item) return item.models.map(asItem);
      const found = await models.list();
      const origins = new Set(found.map(({ origin }) => origin));
      const groups = Array.from(origins, (origin): Item => {
        return { kind: 'origin', origin, models: found.filter((model) => model.origin === origin) };
      });
      return [...groups, ...(await models.left()).map((text): Item => ({ kind: 'left', text }))];
    },
  };
  return vscode.Disposable.from(
    changes,
    vscode.window.createTreeView(contributedId('models'), {
      treeDataProvider: provider,
      dragAndDropController: dropping,
    }),
    models.onDidChange(() => changes.fire(undefined)),
    watch.onDidChange(() => changes.fire(undefined)),
    kinds.onDidChange(() => changes.fire(undefined)),
  );
}

/** What is dropped on the view is added. */
const dropping: vscode.TreeDragAndDropController<Item> = {
  dropMimeTypes: ['text/uri-list'],
  dragMimeTypes: [],
  async handleDrop(_, data) {
    const list = await data.get('text/uri-list')?.asString();
    const uris = (list ?? '').split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
    if (uris.length > 0)
      await vscode.commands.executeCommand(
        contributedId('addModel'),
        uris.map((uri) => vscode.Uri.parse(uri)),
      );
  },
};

function lineOf(item: Item): vscode.TreeItem {
  switch (item.kind) {
    case 'origin':
      return treeItem(originInWords(item.origin), 'Expanded');
    case 'model':
      return modelLine(item);
    case 'fact': {
      const { label, value, icon } = item.fact;
      return treeItem(label, 'None', { icon, description: value, tooltip: [`${label}: ${value}`] });
    }
    case 'left':
      return treeItem(vscode.l10n.t('Not all are listed'), 'None', {
        icon: 'info',
        description: item.text,
        tooltip: [item.text],
      });
  }
}

function modelLine({ model, chosen, watched, about }: Extract<Item, { kind: 'model' }>): vscode.TreeItem {
  const description = [
    bytesInWords(model.bytes),
    ...(about?.words ?? []),
    ...(chosen ? [vscode.l10n.t('chosen')] : []),
    ...(watched ? [watched.problem ? vscode.l10n.t('watched, cannot be run') : vscode.l10n.t('watched')] : []),
  ].join(', ');
  const kind = chosen ? 'chosen' : 'model';
  const problem = watched?.problem?.message ?? about?.problem;
  return treeItem(model.name, 'Collapsed', {
    icon: watched ? 'eye' : chosen ? 'pass-filled' : (about?.icon ?? 'circuit-board'),
    description,
    tooltip: [model.file, ...(problem === undefined ? [] : [problem])],
    spoken: `${model.name}, ${description}`,
    id: model.file,
    kind: watched ? `watched-${kind}` : kind,
  });
}

async function factsOf(engine: Engine, model: FoundModel): Promise<Item[]> {
  const facts = await engine
    .inspect(model.file)
    .then(anatomyInWords, (error) => [
      { label: vscode.l10n.t('Cannot be read'), value: toProblem(error).message, icon: 'error' },
    ]);
  const place = { label: vscode.l10n.t('Folder'), value: dirname(model.file), icon: 'folder' };
  return [...facts, place, confinement()].map((fact) => ({ kind: 'fact', fact }));
}

/** What the process may do that reads and runs the model. */
function confinement(): Fact {
  const value = isSandboxed()
    ? vscode.l10n.t('may write where a result is saved and start no program; its native code is not held')
    : vscode.l10n.t('has the rights of this editor: no sandbox is known to work here');
  return { label: vscode.l10n.t('Process'), value, icon: 'shield' };
}

/** What was recognized, and what was not. */
export function anatomyInWords({ model, anatomy }: Inspection): Fact[] {
  const t = vscode.l10n.t;
  const fact = (label: string, value: string | number | undefined, icon = 'symbol-numeric'): Fact[] =>
    value === undefined ? [] : [{ label, value: typeof value === 'number' ? numberInWords(value) : value, icon }];
  const rebuilt = anatomy.blocks.filter(({ attention }) => attention?.pattern.from === 'rebuilt').length;
  const inGraph = anatomy.blocks.filter(({ attention }) => attention?.pattern.from === 'graph').length;
  return [
    ...fact(t('Layers'), model.layers, 'layers'),
    ...fact(t('Hidden size'), model.hidden),
    ...fact(t('Attention heads'), model.heads, 'eye'),
    ...(model.kvHeads === model.heads ? [] : fact(t('Key/value heads'), model.kvHeads)),
    ...fact(t('MLP width'), anatomy.mlpHidden),
    ...fact(t('Vocabulary'), model.vocabulary, 'book'),
    ...fact(t('Context'), model.context === undefined ? undefined : t('{0} tokens', numberInWords(model.context))),
    ...fact(
      t('Blocks'),
      model.parallelBlock ? t('attention and MLP in parallel') : t('attention, then MLP'),
      'list-tree',
    ),
    ...fact(
      t('Attention patterns'),
      [
        ...(inGraph > 0 ? [t('in the graph for {0} of {1} layers', inGraph, model.layers)] : []),
        ...(rebuilt > 0 ? [t('rebuilt from Q and K for {0} of {1} layers', rebuilt, model.layers)] : []),
      ].join(', ') || t('none found'),
      'graph-scatter',
    ),
    ...model.missing.map((missing) => ({ label: t('Not found'), value: missing, icon: 'warning' })),
    ...model.remarks.map((remark) => ({ label: t('Note'), value: remark, icon: 'info' })),
  ];
}
