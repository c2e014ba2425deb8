import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { emptyRooms, importsOf, judge, roomOf } from '../../../scripts/law.mjs';

/** What the law says of one file that imports another, which is there and imports nothing. */
function verdict(file: string, source: string, ...others: readonly string[]): readonly string[] {
  const files = new Map([[file, source], ...others.map((other) => [other, ''] as const)]);
  return judge(files, (path: string) => files.has(path)).problems;
}

describe('every way to import', () => {
  it.each([
    "import { a } from './x.js'",
    "import type { A } from './x.js'",
    "import './x.js'",
    "export * from './x.js'",
    "export { a } from './x.js'",
    "const a = await import('./x.js')",
    "type A = import('./x.js').A",
    "import a = require('./x.js')",
  ])('%s', (source) => {
    expect(importsOf('a.ts', source)).toEqual(['./x.js']);
    const loading = /type/.test(source) ? [] : ['./x.js'];
    expect(importsOf('a.ts', source, { types: false })).toEqual(loading);
  });
});

describe('a file belongs to the longest room that holds it', () => {
  it.each([
    ['src/onnx/read.ts', 'src/onnx'],
    ['src/engine/stages/session.ts', 'src/engine/stages/session.ts'],
    ['src/experiments/bias/deep/down.ts', 'src/experiments/*'],
    ['src/experiments/shared/text.ts', 'src/experiments/shared'],
  ])('%s', (file, room) => {
    expect(roomOf(file)?.name).toBe(room);
  });
});

describe('is refused', () => {
  it.each([
    ['a room below', 'src/experiments/shared/a.ts', "import '../../cli/b.js'", 'src/cli/b.ts'],
    ['from a folder inside a room', 'src/onnx/deep/a.ts', "import '../../anatomy/b.js'", 'src/anatomy/b.ts'],
    ['from a file of src itself', 'src/protocol.ts', "import './extension/b.js'", 'src/extension/b.ts'],
    ['from the errors', 'src/errors.ts', "import type { A } from './onnx/b.js'", 'src/onnx/b.ts'],
    ['another experiment', 'src/experiments/bias/a.ts', "import '../lens/b.js'", 'src/experiments/lens/b.ts'],
    ['the inside of the engine', 'src/cli/a.ts', "import '../engine/jobs/b.js'", 'src/engine/jobs/b.ts'],
    ['in a dynamic import', 'webview/a.ts', "void import('../src/engine/host/b.js')", 'src/engine/host/b.ts'],
    ['as a type', 'src/statistics/a.ts', "import type { A } from '../onnx/b.js'", 'src/onnx/b.ts'],
  ])('%s', (_, file, source, other) => {
    expect(verdict(file, source, other)).toEqual([expect.stringContaining(`${file} imports`)]);
  });

  it.each([
    ['vscode outside the extension', 'src/cli/a.ts', "import * as vscode from 'vscode'"],
    ['Node.js in a webview', 'webview/views/a.ts', "import 'node:fs'"],
    ['Node.js where findings are pure', 'src/analysis/a.ts', "import 'node:fs'"],
    ['ONNX Runtime outside its one file', 'src/engine/stages/a.ts', "import 'onnxruntime-node'"],
    ['a file that is not there', 'src/cli/a.ts', "import './b.js'"],
    ['what nobody can tell', 'src/cli/a.ts', 'void import(process.argv[2])'],
  ])('%s', (_, file, source) => {
    expect(verdict(file, source)).toHaveLength(1);
  });

  it('a file in no room', () => {
    expect(verdict('src/new/a.ts', '')).toEqual([expect.stringContaining('is in no room')]);
  });

  it('a cycle, of types alone as well', () => {
    const files = new Map([
      ['src/onnx/a.ts', "import type { B } from './b.js'"],
      ['src/onnx/b.ts', "import type { A } from './a.js'"],
    ]);
    expect(judge(files, (path: string) => files.has(path)).problems).toEqual([
      'a cycle: src/onnx/a.ts → src/onnx/b.ts → src/onnx/a.ts',
    ]);
  });
});

it('the own room and what its line names are allowed', () => {
  expect(
    verdict('src/anatomy/a.ts', "import '../onnx/b.js'; import './c.js'", 'src/onnx/b.ts', 'src/anatomy/c.ts'),
  ).toEqual([]);
  expect(verdict('src/experiments/bias/a.ts', "import './b.js'", 'src/experiments/bias/b.ts')).toEqual([]);
});

it('the law names nothing that is not there', () => {
  expect(emptyRooms(existsSync)).toEqual([]);
  expect(emptyRooms((path: string) => path !== 'src/hub')).toEqual(['the law names src/hub, which is not there']);
});
