import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import manifest from '../../../package.json';
import titles from '../../../package.nls.json';
import { tintLevels } from '../../../src/analysis/tint.js';
import { experiments } from '../../../src/experiments/catalogue.js';
import { commandOf } from '../../../src/experiments/facts.js';
import { pictureEndings } from '../../../src/experiments/shared/pictures.js';
import {
  analysisCommands,
  colorNames,
  contextNames,
  continuationCommands,
  experimentCommands,
  historyCommands,
  modelCommands,
  tintColors,
  viewNames,
} from '../../../src/extension/names.js';

const { contributes } = manifest;
const ids = (names: readonly string[]) => names.map((name) => `sinkscope.${name}`);
const declared = contributes.commands.map(({ command }) => command);

describe('package.json', () => {
  it('declares only commands that are registered', () => {
    const registered = [
      ...ids([
        ...analysisCommands,
        ...modelCommands,
        ...historyCommands,
        ...experimentCommands,
        ...continuationCommands,
      ]),
      ...experiments.map(commandOf),
    ];
    expect(declared.filter((command) => !registered.includes(command))).toEqual([]);
  });

  it('puts only declared commands into menus, keybindings and links', () => {
    const links = Array.from(JSON.stringify(titles).matchAll(/command:(sinkscope\.\w+)/g), ([, command]) => command);
    const menus = [...Object.values(contributes.menus).flat(), ...contributes.keybindings].map(
      ({ command }) => command,
    );
    expect(links.length).toBeGreaterThan(0);
    expect([...menus, ...links].filter((command) => !declared.includes(`${command}`))).toEqual([]);
  });

  it('has a text for every key, and a key for every text', () => {
    const keys = Array.from(JSON.stringify(manifest).matchAll(/%([\w.-]+)%/g), ([, key]) => key);
    expect(new Set(keys)).toEqual(new Set(Object.keys(titles)));
  });

  it('has settings in the order in which their texts go on from each other, which the editor else lists by name', () => {
    const orders = Object.values(contributes.configuration.properties).map(({ order }) => order);
    expect(orders).toEqual(orders.map((_, at) => at + 1));
  });

  it('declares the colours that marks are painted with', () => {
    expect(contributes.colors.map(({ id }) => id)).toEqual(ids(colorNames));
    expect(tintColors).toHaveLength(tintLevels);
  });

  it('has pictures in the walkthrough whose colours its page lets through', () => {
    const pictures = contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.svg));
    expect(pictures).toHaveLength(3);
    for (const picture of pictures) {
      const svg = readFileSync(new URL(`../../../${picture}`, import.meta.url), 'utf8');
      expect(svg).toContain('fill="var(--vscode-');
      expect(svg).not.toMatch(/style\s*=|<style/);
    }
  });

  it('declares the views that are filled', () => {
    expect(contributes.views.sinkscope.map(({ id }) => id)).toEqual(ids(viewNames));
  });

  it('offers actions only on conditions that are kept', () => {
    const conditions = Array.from(
      JSON.stringify(contributes).matchAll(/"(?:enablement|when)":"([^"]*)"/g),
      ([, condition]) => condition?.match(/sinkscope\.\w+/g) ?? [],
    ).flat();
    expect(conditions.length).toBeGreaterThan(0);
    const editors = contributes.customEditors.map(({ viewType }) => viewType);
    const known = [...ids([...contextNames, ...viewNames]), ...editors];
    expect(conditions.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('offers menus to pictures by the endings that dialogs show', () => {
    const conditions = Object.values(contributes.menus)
      .flat()
      .flatMap((item) => ('when' in item ? [/resourceExtname =~ \/(.*png.*)\/i/.exec(item.when ?? '')?.[1] ?? []] : []))
      .flat();
    expect(conditions.length).toBeGreaterThan(0);
    for (const pattern of conditions) {
      expect(pictureEndings.filter((ending) => !new RegExp(pattern, 'i').test(`.${ending}`))).toEqual([]);
      // Each alternative is one, and two where a letter may be left out (jpe?g).
      expect(1 + [...pattern.matchAll(/[|?]/g)].length).toBe(pictureEndings.length);
    }
  });
});
