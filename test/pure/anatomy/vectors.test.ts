/** Where the vectors of tokens lie. */
import { expect, it } from 'vitest';
import { flowOf } from '../../../src/anatomy/flow.js';
import { VectorAxes } from '../../../src/anatomy/vectors.js';
import { modelOf } from '../../support/graph.js';

const axisOf = (text: string) =>
  new VectorAxes(
    flowOf(
      modelOf(text, {
        inputs: { pixels: [1, 3, 32, 32], x: [1, 7, 8] },
        weights: { patches: [64, 3, 8, 8], up: [8, 32] },
        integers: { batch: [0] },
      }),
    ),
  ).of('y')?.axis;

const patches = 'c = Conv(pixels, patches) kernel_shape=8,8';

it.each<[string, string, number | undefined]>([
  ['a convolution’s are its channels', `${patches}\ny = Relu(c)`, -3],
  // As Pixtral has it for each picture.
  ['channels of one picture, places joined', `${patches}\ns = Squeeze(c, batch)\ny = Flatten(s) axis=1`, -2],
  ['turned', `${patches}\ns = Squeeze(c, batch)\nf = Flatten(s) axis=1\ny = Transpose(f) perm=1,0`, -1],
  ['places and channels in one axis', `${patches}\ny = Flatten(c) axis=1`, undefined],
  [
    'tokens of all examples joined',
    'm = MatMul(x, up)\nt = Transpose(m) perm=0,2,1\nu = Transpose(t) perm=0,2,1\ny = Flatten(u) axis=2',
    -1,
  ],
  ['a turn of other axes than there are', `${patches}\ny = Transpose(c) perm=1,0`, undefined],
])('%s', (_, text, expected) => {
  expect(axisOf(text)).toBe(expected);
});
