import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import manifest from '../../../package.json';
import titles from '../../../package.nls.json';

const folder = new URL('../../../src/extension/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, folder), 'utf8');
const { contributes } = manifest;
const declared = contributes.commands.map(({ command }) => command);
const sources = readdirSync(folder).map(read);
/** Names of the tables that become `sinkscope.<name>`. */
const registered = ['commands.ts', 'experimentCommands.ts'].flatMap((file) => {
  const table = /const actions:[^{]*\{\n([\s\S]*?)\n {2}\};/.exec(read(file));
  return Array.from((table?.[1] ?? '').matchAll(/^ {4}(?:async )?(\w+)(?:\(|: )/gm), ([, name]) => `sinkscope.${name}`);
});

describe('package.json', () => {
  it('declares only commands that are registered', () => {
    expect(registered.length).toBeGreaterThan(0);
    expect(declared.filter((command) => !registered.includes(command))).toEqual([]);
  });

  it('puts only declared commands into menus, keybindings and links', () => {
    const links = Array.from(JSON.stringify(titles).matchAll(/command:(sinkscope\.\w+)/g), ([, command]) => command);
    const menus = [...Object.values(contributes.menus).flat(), ...contributes.keybindings].map(
      ({ command }) => command,
    );
    const used = [...menus, ...links];
    expect(used.filter((command) => !declared.includes(command))).toEqual([]);
  });

  it('has every command that the sources call by name', () => {
    const called = sources.flatMap((source) => Array.from(source.matchAll(/'(sinkscope\.\w+)'/g), ([, name]) => name));
    const others = [
      ...contributes.colors.map(({ id }) => id),
      ...contributes.views.sinkscope.map(({ id }) => id),
      'sinkscope.panel',
      'sinkscope.progress',
      'sinkscope.experiment',
      'sinkscope.experimenting',
    ];
    expect(called.filter((name) => !registered.includes(name) && !others.includes(name))).toEqual([]);
  });

  it('has a text for every key, and a key for every text', () => {
    const keys = Array.from(JSON.stringify(manifest).matchAll(/%([\w.]+)%/g), ([, key]) => key);
    expect(new Set(keys)).toEqual(new Set(Object.keys(titles)));
  });

  it('has every colour that the sources use', () => {
    const ids = contributes.colors.map(({ id }) => id);
    expect(ids).toHaveLength(new Set(ids).size);
    const used = sources.flatMap((source) => Array.from(source.matchAll(/color\('(\w+)'\)/g), ([, id]) => id));
    expect(used.length).toBeGreaterThan(3);
    expect(used.filter((id) => !ids.includes(`sinkscope.${id}`))).toEqual([]);
  });

  it('offers actions only on conditions that are kept', () => {
    const conditions = Array.from(
      JSON.stringify(contributes).matchAll(/"(?:enablement|when)":"([^"]*)"/g),
      ([, condition]) => condition.match(/sinkscope\.\w+/g) ?? [],
    ).flat();
    const known = [
      'sinkscope.running',
      'sinkscope.experimenting',
      'sinkscope.hasResult',
      'sinkscope.side',
      'sinkscope.models',
    ];
    expect(conditions.filter((name) => !known.includes(name))).toEqual([]);
  });
});
