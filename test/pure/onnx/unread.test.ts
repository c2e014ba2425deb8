import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModel } from '../../../src/onnx/read.js';
import { external, floats, message, model, node, tensor, value } from '../../support/build.js';
import { temporaryFolder } from '../../support/files.js';

const file = join(await temporaryFolder(), 'model.onnx');

describe('attributes that are passed on unread have nothing in other files', () => {
  const far = external('far', [4], { location: '/etc/passwd' });
  const indices = tensor('indices', [1], 7, [9, new Uint8Array(8)]);
  const constant = (attribute: Uint8Array) =>
    model({ nodes: [node('Constant', [], ['y'], [attribute])], outputs: [value('y', [4])] });
  test.each([
    [
      'values of a sparse tensor',
      message([1, 'sparse_value'], [22, message([1, far], [2, indices], [3, 4])], [20, 11]),
    ],
    [
      'indices of one',
      message([1, 'sparse_value'], [22, message([1, floats('v', [1], [1])], [2, far], [3, 4])], [20, 11]),
    ],
    ['sparse tensors', message([1, 'a'], [23, message([1, far], [2, indices], [3, 4])], [20, 12])],
    ['tensors', message([1, 'a'], [10, far], [20, 9])],
    ['a tensor that its type does not name', message([1, 'a'], [5, far], [4, Uint8Array.of(255)], [20, 3])],
  ])('%s', (_, attribute) => {
    writeFileSync(file, constant(attribute));
    expect(() => readModel(file)).toThrow('has its values in a data file');
  });

  test('sparse values in the file itself are read', () => {
    const sparse = message([1, floats('v', [1], [1])], [2, indices], [3, 4]);
    writeFileSync(file, constant(message([1, 'sparse_value'], [22, sparse], [20, 11])));
    expect(readModel(file).graph.nodes).toHaveLength(1);
  });
});
