/** What the way back computes again, and what it takes as the way there gave it. */
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { makeFeeds } from '../../../src/engine/inputs/feeds.js';
import { Backward, tracksFrom } from '../../../src/engine/stages/backward.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { floats, type Value } from '../../../src/engine/tensors/value.js';
import { parseModel } from '../../../src/onnx/read.js';
import { relativeError } from '../../support/engine.js';
import { root } from '../../support/files.js';

const sessions = vi.hoisted(() => [] as Uint8Array[]);
vi.mock(import('../../../src/engine/stages/session.js'), async (original) => {
  const session = await original();
  return {
    ...session,
    createSession: (bytes, ...rest) => {
      sessions.push(bytes);
      return session.createSession(bytes, ...rest);
    },
  };
});

const file = join(root, 'media/models/llama/model.onnx');
const loaded = loadModel(file);
const { layers, inputs } = loaded.anatomy;

/** Products with a weight that are computed on the way back, and the derivative by h_0. */
async function back(room: number) {
  const way = new Backward(loaded, 1, [], layers, { keeps: true });
  const tracks = tracksFrom(makeFeeds(inputs, new Map(), [0, 52, 6430, 7]).values, room);
  try {
    for await (const _ of way.there([tracks]));
    const last = way.residual(layers);
    const state = tracks.lane.values.get(last) as Value;
    tracks.adjoints.set(last, { ...state, data: floats(state).map((_, i) => Math.cos(i)) });
    sessions.length = 0;
    const kept = tracks.kept.size;
    for (const stage of way.stages.toReversed()) if (stage.first >= 1) await way.back(stage, tracks, false);
    const products = sessions.flatMap((bytes) => {
      const read = (into: Uint8Array, position: number) => Buffer.from(bytes).copy(into, 0, position);
      const { nodes, initializers } = parseModel({ size: bytes.length, read }, file).graph;
      const plain = nodes.filter(
        ({ op, outputs: [output = ''] }) => op.endsWith('MatMul') && !output.startsWith('sinkscope/'),
      );
      // Weights of half precision are cast.
      const stored = new Set(initializers.keys());
      for (const {
        op,
        inputs: [from = ''],
        outputs: [to = ''],
      } of nodes)
        if (op === 'Cast' && stored.has(from)) stored.add(to);
      return plain.filter(({ inputs: [, weight = ''] }) => stored.has(weight));
    });
    return {
      products: products.length,
      kept,
      left: tracks.room,
      adjoint: floats(tracks.adjoints.get(way.residual(0)) as Value),
    };
  } finally {
    await way.release();
  }
}

it('products with weights are computed again, or kept as far as there is room', async () => {
  const [again, kept, some] = [await back(0), await back(2 ** 30), await back(150_000)];
  expect(again).toMatchObject({ kept: 0, left: 0 });
  // Of all but the last one of a block, whose result nothing on the way back reads.
  expect(again.products).toBe(6 * layers);
  expect(kept).toMatchObject({ kept: layers, products: 0 });
  expect(some.kept).toBeGreaterThan(0);
  expect(some.kept).toBeLessThan(layers);
  expect(some.products).toBe(6 * (layers - some.kept));
  expect(some.left).toBeGreaterThanOrEqual(0);
  for (const one of [kept, some]) expect(relativeError(one.adjoint, again.adjoint)).toBeLessThan(1e-5);
});
