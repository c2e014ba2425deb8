/** The list of models in the side bar; a model opens to what was recognized in it, in words. */
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { Inspection } from '../engine/contract/inspection.js';
import type { Engine } from '../engine/host/engine.js';
import { toProblem } from '../errors.js';
import type { FoundModel, Origin } from '../models/find.js';
import type { Models } from './models.js';
import { contributedId } from './names.js';
import { bytesInWords, originInWords } from './words.js';

export type Item =
  | { readonly kind: 'origin'; readonly origin: Origin; readonly models: readonly FoundModel[] }
  | { readonly kind: 'model'; readonly model: FoundModel; readonly chosen: boolean }
  | { readonly kind: 'fact'; readonly fact: Fact };

interface Fact {
  readonly label: string;
  readonly value: string;
  readonly icon: string;
}

export function registerModelsView(models: Models, engine: Engine): vscode.Disposable {
  const changes = new vscode.EventEmitter<undefined>();
  const provider: vscode.TreeDataProvider<Item> = {
    onDidChangeTreeData: changes.event,
    getTreeItem: treeItem,
    async getChildren(item) {
      if (item?.kind === 'model') return factsOf(engine, item.model);
      if (item?.kind === 'fact') return [];
      const chosen = await models.chosen().catch(() => undefined);
      const asItem = (model: FoundModel): Item => ({ kind: 'model', model, chosen: model.file === chosen?.file });
      if (item) return item.models.map(asItem);
      const found = await models.list();
      const origins = new Set(found.map(({ origin }) => origin));
      return Array.from(origins, (origin) => ({
        kind: 'origin',
        origin,
        models: found.filter((model) => model.origin === origin),
      }));
    },
  };
  return vscode.Disposable.from(
    changes,
    vscode.window.registerTreeDataProvider(contributedId('models'), provider),
    models.onDidChange(() => changes.fire(undefined)),
  );
}

function treeItem(item: Item): vscode.TreeItem {
  switch (item.kind) {
    case 'origin':
      return new vscode.TreeItem(originInWords(item.origin), vscode.TreeItemCollapsibleState.Expanded);
    case 'model':
      return modelItem(item);
    case 'fact': {
      const { label, value, icon } = item.fact;
      const fact = new vscode.TreeItem(label);
      fact.description = value;
      fact.tooltip = `${label}: ${value}`;
      fact.iconPath = new vscode.ThemeIcon(icon);
      return fact;
    }
  }
}

function modelItem({ model, chosen }: { model: FoundModel; chosen: boolean }): vscode.TreeItem {
  const item = new vscode.TreeItem(model.name, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = model.file;
  item.description = chosen ? vscode.l10n.t('{0}, chosen', bytesInWords(model.bytes)) : bytesInWords(model.bytes);
  item.tooltip = model.file;
  item.accessibilityInformation = { label: `${model.name}, ${item.description}` };
  item.iconPath = new vscode.ThemeIcon(chosen ? 'pass-filled' : 'circle-large-outline');
  item.contextValue = chosen ? 'chosen' : 'model';
  return item;
}

async function factsOf(engine: Engine, model: FoundModel): Promise<Item[]> {
  const facts = await engine
    .inspect(model.file)
    .then(anatomyInWords, (error) => [
      { label: vscode.l10n.t('Cannot be read'), value: toProblem(error).message, icon: 'error' },
    ]);
  const place = { label: vscode.l10n.t('Folder'), value: dirname(model.file), icon: 'folder' };
  return [...facts, place].map((fact) => ({ kind: 'fact', fact }));
}

/** What was recognized, and what was not. */
function anatomyInWords({ model, anatomy }: Inspection): Fact[] {
  const t = vscode.l10n.t;
  const fact = (label: string, value: string | number | undefined, icon = 'symbol-numeric'): Fact[] =>
    value === undefined
      ? []
      : [{ label, value: typeof value === 'number' ? value.toLocaleString(vscode.env.language) : value, icon }];
  const rebuilt = anatomy.blocks.filter(({ attention }) => attention?.pattern.from === 'rebuilt').length;
  const inGraph = anatomy.blocks.filter(({ attention }) => attention?.pattern.from === 'graph').length;
  return [
    ...fact(t('Layers'), model.layers, 'layers'),
    ...fact(t('Hidden size'), model.hidden),
    ...fact(t('Attention heads'), model.heads, 'eye'),
    ...(model.kvHeads === model.heads ? [] : fact(t('Key/value heads'), model.kvHeads)),
    ...fact(t('MLP width'), anatomy.mlpHidden),
    ...fact(t('Vocabulary'), model.vocabulary, 'book'),
    ...fact(t('Context'), model.context === undefined ? undefined : t('{0} tokens', model.context)),
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
  ];
}
