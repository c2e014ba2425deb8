import { SinkscopeError } from '../../../errors.js';
import { floats, sliceRows } from '../../tensors/value.js';
import { type Answerer, valueNamed } from '../inside.js';

export const answerEntries: Answerer<'entries'> = async (run, { layer, of }) => {
  run.checkLayer(layer);
  if (of === 'nodes') return { values: floats(sliceRows(await run.state(layer), 0, run.tokens)).slice() };
  const { anatomy, file } = run.loaded;
  const name = anatomy.blocks[layer - 1]?.attention?.edges;
  if (name === undefined) {
    throw new SinkscopeError({
      code: 'input',
      file,
      message: `Block ${layer} has no edge activations: nothing computed from an input is added to its attention scores.`,
    });
  }
  return { values: floats(valueNamed(await run.inside(layer, [name]), name)).slice() };
};
