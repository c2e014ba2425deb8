/** Model files and their data where no plain file is, or in another folder. */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SinkscopeError } from '../../../src/errors.js';
import { readModel } from '../../../src/onnx/read.js';
import { external, graph, graphAttribute, message, model, node, opset, value } from '../../support/build.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-places-')));
const inside = join(folder, 'model');
const file = join(inside, 'model.onnx');
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  mkdirSync(join(inside, 'directory'), { recursive: true });
  mkdirSync(join(folder, 'elsewhere'));
  for (const name of ['data', 'elsewhere/data', 'elsewhere/linked']) {
    writeFileSync(join(name === 'data' ? inside : folder, name), new Uint8Array(64));
  }
  writeFileSync(join(inside, 'pointer'), `version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1000\n`);
  symlinkSync('data', join(inside, 'symlink'));
  symlinkSync(join(folder, 'elsewhere'), join(inside, 'linked-folder'));
  linkSync(join(folder, 'elsewhere/linked'), join(inside, 'hardlink'));
  execFileSync('mkfifo', [join(inside, 'fifo')]);
});

/** What reading these bytes throws. */
function problem(bytes: Uint8Array): SinkscopeError {
  writeFileSync(file, bytes);
  try {
    readModel(file);
  } catch (error) {
    if (SinkscopeError.is(error)) return error;
    throw error;
  }
  throw new Error('it was read without complaint');
}

const y = value('y', [4]);
const attribute = (tensor: Uint8Array) => message([1, 'value'], [5, tensor], [20, 4]);
const constant = (tensor: Uint8Array, output = 'y') => node('Constant', [], [output], [attribute(tensor)]);
const branch = (parts: Parameters<typeof graph>[0]) =>
  node('If', ['c'], ['y'], [graphAttribute('then_branch', graph({ ...parts, outputs: [value('w', [4])] }))]);
const decided = { inputs: [value('c', [], 9)], outputs: [y] };
const calling = { nodes: [node('f', [], ['y'], [], 'local')], outputs: [y] };
const local = (...fields: [number, Uint8Array][]) =>
  message([1, 'f'], [5, 'y'], ...fields, [9, opset('', 18)], [10, 'local']);

test.each(['directory', 'fifo'])('a %s is no model', (name) => {
  expect(() => readModel(join(inside, name))).toThrow(/is no plain file/);
});

describe('external data', () => {
  const at = (entries: Readonly<Record<string, string>>): Uint8Array =>
    model({
      nodes: [node('Add', ['x', 'w'], ['y'])],
      initializers: [external('w', [4], entries)],
      inputs: [value('x', [4])],
      outputs: [y],
    });
  test.each<[string, string, Readonly<Record<string, string>>]>([
    ['no location', 'has no name', {}],
    ['missing', 'is missing', { location: 'none' }],
    ['absolute', 'is an absolute path', { location: '/etc/passwd' }],
    ['up and out', 'leads out of the folder with ".."', { location: '../elsewhere/data' }],
    ['out and in again', 'leads out of the folder with ".."', { location: '../model/data' }],
    ['up in the middle', 'leads out of the folder with ".."', { location: 'directory/../data' }],
    ['up with backslashes', 'leads out of the folder with ".."', { location: '..\\elsewhere\\data' }],
    ['UNC', 'is a network path', { location: '\\\\server\\share\\data' }],
    ['UNC with slashes', 'is a network path', { location: '//server/share/data' }],
    ['drive', 'names a drive', { location: 'C:\\data' }],
    ['drive without root', 'names a drive', { location: 'c:data' }],
    ['backslash', 'has a backslash', { location: 'directory\\data' }],
    ['zero byte', 'has a zero byte', { location: 'data\0' }],
    ['symbolic link', 'is reached through a symbolic link', { location: 'symlink' }],
    ['linked folder', 'is reached through a symbolic link', { location: 'linked-folder/data' }],
    ['hard link', 'has a second name on this disk', { location: 'hardlink' }],
    ['a tag of ONNX Runtime', 'is a place in memory', { location: '*/_ORT_MEM_ADDR_/*' }],
    ['directory', 'is a directory', { location: 'directory' }],
    ['FIFO', 'is a named pipe', { location: 'fifo' }],
    [
      'too short',
      'is too short: the weight "w" needs bytes 56 to 72, and the file has 64',
      { location: 'data', offset: '56', length: '16' },
    ],
    ['Git LFS pointer', 'is only a Git LFS pointer', { location: 'pointer', offset: '56', length: '16' }],
    ['offset far beyond', 'is too short', { location: 'data', offset: '9007199254740000', length: '16' }],
    ['other length', 'has 12 bytes in "data" where its type and shape need 16', { location: 'data', length: '12' }],
    ['negative offset', 'has a negative offset (-8)', { location: 'data', offset: '-8' }],
    ['negative length', 'has a negative length (-1)', { location: 'data', length: '-1' }],
    ['no number', 'is no number of bytes', { location: 'data', offset: '1e3' }],
    ['overflowing offset', 'is no number of bytes', { location: 'data', offset: '18446744073709551616' }],
  ])('%s', (_, sentence, entries) => {
    const { code, message: said } = problem(at(entries));
    expect(said).toContain(sentence);
    expect(code).toBe('external-data');
  });

  describe.each<[string, (tensor: Uint8Array) => Uint8Array]>([
    ['a constant', (tensor) => model({ nodes: [constant(tensor)], outputs: [y] })],
    ['a branch', (tensor) => model({ nodes: [branch({ initializers: [tensor] })], ...decided })],
    ['a constant in a branch', (tensor) => model({ nodes: [branch({ nodes: [constant(tensor, 'w')] })], ...decided })],
    ['a function', (tensor) => model({ ...calling, functions: [local([7, constant(tensor)])] })],
    ['a default of a function', (tensor) => model({ ...calling, functions: [local([11, attribute(tensor)])] })],
    ['a call', (tensor) => model({ nodes: [node('f', [], ['y'], [attribute(tensor)], 'local')], outputs: [y] })],
  ])('of %s', (_, holding) => {
    test.each([
      ['outside', '../elsewhere/data', 'leads out of the folder'],
      ['at a hard link', 'hardlink', 'has a second name on this disk'],
      ['in memory', '*/_ORT_MEM_ADDR_/*', 'is a place in memory'],
    ])('%s', (_, location, sentence) => {
      expect(problem(holding(external('w', [4], { location }))).message).toContain(sentence);
    });

    test('in the folder is read', () => {
      writeFileSync(file, holding(external('w', [4], { location: 'data', length: '16' })));
      expect(readModel(file).file).toBe(file);
    });
  });

  const two = (first: Readonly<Record<string, string>>, second: Readonly<Record<string, string>>): Uint8Array =>
    model({
      nodes: [node('Add', ['a', 'b'], ['y'])],
      initializers: [external('a', [4], first), external('b', [4], second)],
      outputs: [y],
    });

  test('partial overlap is refused', () => {
    const { code, message: said } = problem(two({ location: 'data', offset: '0' }, { location: 'data', offset: '8' }));
    expect(said).toContain('"a" and "b" overlap in "data"');
    expect(code).toBe('external-data');
  });

  test('tied and adjacent weights are fine', () => {
    writeFileSync(file, two({ location: 'data', offset: '8' }, { location: './data', offset: '8', length: '16' }));
    expect(readModel(file).graph.initializers.size).toBe(2);
    writeFileSync(file, two({ location: 'data', offset: '0' }, { location: 'data', offset: '16' }));
    expect(readModel(file).graph.initializers.size).toBe(2);
  });

  test('as the Hugging Face cache keeps them are fine: model and data linked, both in one folder', () => {
    const repository = join(folder, 'models--owner--name');
    const [blobs, snapshot] = [join(repository, 'blobs'), join(repository, 'snapshots', 'revision', 'onnx')];
    for (const path of [blobs, join(snapshot, 'more')]) mkdirSync(path, { recursive: true });
    const blob = join(blobs, 'abc');
    writeFileSync(join(blobs, 'def'), Buffer.alloc(64));
    symlinkSync('../../../blobs/abc', join(snapshot, 'model.onnx'));
    symlinkSync('../../../blobs/def', join(snapshot, 'model.onnx_data'));
    symlinkSync('../../../../blobs/def', join(snapshot, 'more/data'));
    symlinkSync(join(folder, 'elsewhere/data'), join(snapshot, 'outside'));
    const opened = join(snapshot, 'model.onnx');
    for (const location of ['model.onnx_data', 'more/data']) {
      writeFileSync(blob, at({ location }));
      expect(readModel(opened).graph.initializers.size).toBe(1);
      expect(() => readModel(blob)).toThrow(/is missing/);
    }
    writeFileSync(blob, at({ location: 'outside' }));
    expect(() => readModel(opened)).toThrow(/is missing/);

    // The same links where the folders are not those of the cache.
    writeFileSync(blob, at({ location: 'model.onnx_data' }));
    const elsewhere = join(folder, 'linked');
    mkdirSync(elsewhere);
    symlinkSync(blob, join(elsewhere, 'model.onnx'));
    symlinkSync(join(blobs, 'def'), join(elsewhere, 'model.onnx_data'));
    expect(() => readModel(join(elsewhere, 'model.onnx'))).toThrow(/is missing/);
    // And where the folder is not called so.
    renameSync(blobs, join(repository, 'others'));
    const other = join(repository, 'snapshots', 'other');
    mkdirSync(other);
    symlinkSync('../../others/abc', join(other, 'model.onnx'));
    symlinkSync('../../others/def', join(other, 'model.onnx_data'));
    expect(() => readModel(join(other, 'model.onnx'))).toThrow(/is missing/);
  });
});
