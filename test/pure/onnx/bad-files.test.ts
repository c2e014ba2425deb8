import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { type ProblemCode, SinkscopeError } from '../../../src/errors.js';
import { readModel } from '../../../src/onnx/read.js';
import {
  floats,
  graph,
  graphAttribute,
  message,
  model,
  node,
  opset,
  type Parts,
  tensor,
  value,
} from '../../support/build.js';
import { fixture } from '../../support/files.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sinkscope-bad-')));
const file = join(folder, 'model.onnx');
afterAll(() => rmSync(folder, { recursive: true }));

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

const x = value('x', [4]);
const y = value('y', [4]);
/** y = x + w, with something else about it. */
const withWeight = (weight: Uint8Array, parts: Parts = {}): Uint8Array =>
  model({ nodes: [node('Add', ['x', 'w'], ['y'])], initializers: [weight], inputs: [x], outputs: [y], ...parts });
const good = withWeight(floats('w', [4], [1, 2, 3, 4]));

function nested(depth: number): Uint8Array {
  let inner = graph({ nodes: [node('Identity', ['x'], ['i'])], outputs: [value('i')] });
  for (let i = 0; i < depth; i++) {
    inner = graph({ nodes: [node('If', ['c'], ['i'], [graphAttribute('then_branch', inner)])], outputs: [value('i')] });
  }
  return model({
    nodes: [node('If', ['c'], ['y'], [graphAttribute('then_branch', inner)])],
    inputs: [x, value('c', [], 9)],
    outputs: [y],
  });
}

test('the file that the others spoil is good', () => {
  writeFileSync(file, good);
  expect(readModel(file).graph.nodes.map((each) => each.op)).toEqual(['Add']);
});

describe('files', () => {
  const real = readFileSync(fixture('gpt2-ts-op14').model);
  test.each<[string, ProblemCode, string, Uint8Array]>([
    ['empty', 'file', 'model.onnx is empty', new Uint8Array(0)],
    [
      'text',
      'file',
      'not an ONNX model: it begins with "hello, this is not a model"',
      Buffer.from('hello, this is not a model\n'),
    ],
    ['HTML', 'file', 'is a web page, ', Buffer.from('<!DOCTYPE html><html><body>404</body></html>')],
    ['OpenVINO', 'file', 'is an XML file', Buffer.from('<?xml version="1.0"?><net name="m" version="11">')],
    ['zeros', 'file', 'is all zeros', new Uint8Array(1000)],
    ['anything', 'file', 'begins with the bytes ff d8 ff e0', Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16])],
    [
      'Git LFS pointer',
      'file',
      'git lfs pull',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
    ],
    ['cut in half', 'file', 'is truncated', real.subarray(0, real.length / 2)],
    ['cut by a byte', 'file', 'is truncated', good.subarray(0, good.length - 1)],
    ['cut before its graph', 'file', 'cut off before its graph', good.subarray(0, 2)],
    [
      'absurd length',
      'file',
      'is truncated',
      Buffer.concat([message([1, 10]), Buffer.from([0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])]),
    ],
    [
      'varint without end',
      'file',
      'too many digits',
      Buffer.concat([message([1, 10], [2, 'p']), Buffer.alloc(40, 0xff)]),
    ],
    [
      'part larger than its whole',
      'file',
      'damaged',
      message([1, 10], [7, Buffer.from([0x0a, 0x7f, 0, 0])], [2, 'x'.repeat(200)]),
    ],
    [
      'unknown wire type',
      'file',
      'unknown wire type',
      Buffer.concat([message([1, 10], [2, 'p']), Buffer.from([0x0f, 1])]),
    ],
    ['number where a message belongs', 'file', 'wrong type', message([1, 10], [2, 'p'], [7, 3])],
    ['IR version before opsets', 'file', 'IR version 2', withWeight(floats('w', [4], [1, 2, 3, 4]), { irVersion: 2 })],
    ['no opset', 'file', 'no operator set', message([1, 10], [7, graph({ inputs: [x], outputs: [x] })])],
    ['a GGUF file', 'file', 'is a GGUF file', Buffer.from('GGUF\u0003\0\0\0 and so on')],
    ['ONNX Runtime’s own format', 'file', 'own format (.ort)', Buffer.from(' \0\0\0ORTM and so on')],
    ['a checkpoint of PyTorch', 'file', 'a zip archive', Buffer.from('PK\u0003\u0004 and so on')],
    ['an older one', 'file', 'a Python pickle', Buffer.from('80028a0a6cfc9c46f920', 'hex')],
    ['packed with gzip', 'file', 'gzip; unpack it', gzipSync(real)],
    ['packed with Zstandard', 'file', 'Zstandard; unpack it', Buffer.from('28b52ffd00000000', 'hex')],
    ['packed with xz', 'file', 'xz; unpack it', Buffer.from('fd377a585a000000', 'hex')],
    ['packed with bzip2', 'file', 'bzip2; unpack it', Buffer.from('BZh91AY&SY')],
    ['a 7z archive', 'file', '7z archive; unpack it', Buffer.from('377abcaf271c0004', 'hex')],
    [
      'a tar archive',
      'file',
      'tar archive; unpack it',
      Buffer.concat([Buffer.alloc(257, 'model'), Buffer.from('ustar')]),
    ],
    ['HDF5', 'file', 'an HDF5 file', Buffer.from('\u0089HDF\r\n\u001a\n and so on', 'latin1')],
    ['TensorFlow Lite', 'file', 'a TensorFlow Lite file', Buffer.from('\u001c\0\0\0TFL3 and so on')],
    ['OpenVINO without a prolog', 'file', 'is an XML file', Buffer.from('<net name="m" version="11">')],
    ['weights alone', 'file', 'a safetensors file', Buffer.from('\u0002\0\0\0\0\0\0\0{"a":{}}')],
    ['two graphs', 'file', 'two graphs', Buffer.concat([good, message([7, graph({})])])],
  ])('%s', (_, code, sentence, bytes) => {
    const { code: actual, message: said, file: named } = problem(bytes);
    expect([actual, named]).toEqual([code, file]);
    expect(said).toContain(sentence);
    expect(said).toContain('model.onnx');
  });

  // Core ML and TensorFlow begin as a file of ONNX could.
  test.each([
    ['m.mlmodel', 'is a Core ML model'],
    ['saved_model.pb', 'is a graph of TensorFlow'],
  ])('%s', (name, sentence) => {
    const named = join(folder, name);
    writeFileSync(named, message([1, 7], [2, message([1, 'input'])]));
    expect(() => readModel(named)).toThrow(sentence);
  });

  test('every cut of a file is refused', () => {
    // Without its last operator set it would still be whole.
    const end = good.length - message([8, opset('local', 1)]).length;
    for (let length = 0; length < end; length++) {
      expect(problem(good.subarray(0, length)).code, `${length} bytes`).toBe('file');
    }
  });

  test('missing', () => {
    expect(() => readModel(join(folder, 'none.onnx'))).toThrow(/none\.onnx cannot be opened/);
  });
});

describe('graphs', () => {
  test.each<[string, ProblemCode, string, Uint8Array]>([
    [
      'negative extent',
      'file',
      '"w" has a negative extent (-4)',
      withWeight(tensor('w', [-4], 1, [9, new Uint8Array(16)])),
    ],
    [
      'extents that overflow',
      'file',
      '"w" has an impossible shape',
      withWeight(tensor('w', [2 ** 31, 2 ** 31, 2 ** 31], 1)),
    ],
    ['extent beyond 2^53', 'file', 'out of range', withWeight(tensor('w', [2n ** 62n], 1))],
    [
      'more elements than bytes',
      'file',
      '"w" has 16 bytes where its type and shape [1000000000] need 4,000,000,000',
      withWeight(tensor('w', [1e9], 1, [9, new Uint8Array(16)])),
    ],
    ['elements without bytes', 'file', '"w" has 0 bytes', withWeight(tensor('w', [4], 1))],
    [
      'negative extent of a value',
      'file',
      'negative extent (-7)',
      withWeight(floats('w', [4], [1, 2, 3, 4]), { inputs: [value('x', [-7])] }),
    ],
    ['integers of 128 bits', 'file', '"w" has 8 bytes', withWeight(tensor('w', [1], 15, [5, 1]))],
    ['strings as numbers', 'file', 'does not fit its type', withWeight(tensor('w', [1], 1, [6, 'text']))],
    ['two kinds of data', 'file', 'two ways at once', withWeight(tensor('w', [1], 6, [5, 1], [7, 1]))],
    [
      'two nodes making a value',
      'graph',
      'two sources make the value "y"',
      withWeight(floats('w', [1], [1]), { nodes: [node('Add', ['x', 'w'], ['y']), node('Sub', ['x', 'w'], ['y'])] }),
    ],
    [
      'a node making an input',
      'graph',
      'two sources make the value "x"',
      withWeight(floats('w', [1], [1]), { nodes: [node('Add', ['x', 'w'], ['x'])] }),
    ],
    [
      'dangling input',
      'graph',
      'a Add node reads "nowhere", which nothing makes',
      withWeight(floats('w', [1], [1]), { nodes: [node('Add', ['x', 'nowhere'], ['y'])] }),
    ],
    ['dangling output', 'graph', 'nothing makes the output "y"', withWeight(floats('w', [1], [1]), { nodes: [] })],
    [
      'dangling capture',
      'graph',
      'reads "nowhere"',
      model({
        nodes: [
          node(
            'If',
            ['c'],
            ['y'],
            [
              graphAttribute(
                'then_branch',
                graph({ nodes: [node('Identity', ['nowhere'], ['i'])], outputs: [value('i')] }),
              ),
            ],
          ),
        ],
        inputs: [value('c', [], 9)],
        outputs: [y],
      }),
    ],
    [
      'a long name with line ends',
      'graph',
      `a Add node reads "z\\u{a}${'z'.repeat(118)}…", which`,
      withWeight(floats('w', [1], [1]), { nodes: [node('Add', ['x', `z\n${'z'.repeat(9999)}`], ['y'])] }),
    ],
    [
      'cycle',
      'graph',
      'depends on its own output',
      withWeight(floats('w', [1], [1]), {
        nodes: [node('Add', ['x', 'b'], ['a']), node('Add', ['a', 'w'], ['b']), node('Add', ['a', 'b'], ['y'])],
      }),
    ],
    [
      'node that reads itself',
      'graph',
      'depends on its own output',
      withWeight(floats('w', [1], [1]), { nodes: [node('Add', ['x', 'y'], ['y'])] }),
    ],
    [
      'cycle through a branch',
      'graph',
      'depends on its own output',
      model({
        nodes: [
          node(
            'If',
            ['c'],
            ['a'],
            [graphAttribute('then_branch', graph({ nodes: [node('Identity', ['y'], ['i'])], outputs: [value('i')] }))],
          ),
          node('Identity', ['a'], ['y']),
        ],
        inputs: [value('c', [], 9)],
        outputs: [y],
      }),
    ],
    ['graphs nested without end', 'file', 'nested more than', nested(5000)],
  ])('%s', (_, code, sentence, bytes) => {
    const { code: actual, message: said } = problem(bytes);
    expect(said).toContain(sentence);
    expect(actual).toBe(code);
  });

  test('moderate nesting is fine', () => {
    writeFileSync(file, nested(10));
    expect(readModel(file).graph.nodes).toHaveLength(1);
  });

  test('nodes out of order are put in order', () => {
    const nodes = [node('Add', ['b', 'w'], ['y']), node('Neg', ['a'], ['b']), node('Abs', ['x'], ['a'])];
    writeFileSync(file, withWeight(floats('w', [4], [1, 2, 3, 4]), { nodes }));
    expect(readModel(file).graph.nodes.map((each) => each.op)).toEqual(['Abs', 'Neg', 'Add']);
  });

  test('initializers repeated among the inputs are no inputs', () => {
    writeFileSync(file, withWeight(floats('w', [4], [1, 2, 3, 4]), { inputs: [value('w', [4]), x] }));
    expect(readModel(file).graph.inputs).toEqual([{ name: 'x', type: 1, shape: [4] }]);
  });

  test('unknown fields are skipped', () => {
    const extra = message([200, 'future'], [201, 7]);
    writeFileSync(file, Buffer.concat([good, extra]));
    expect(readModel(file).graph.nodes).toHaveLength(1);
  });
});
