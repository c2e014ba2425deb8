/** A prompt that is a picture. */
import { pixelInput } from '../../anatomy/pictures.js';
import { grouped, SinkscopeError } from '../../errors.js';
import { modelFolder } from '../../models/folder.js';
import { DataType } from '../../onnx/model.js';
import { float32ToFloat16 } from '../../statistics/half.js';
import { filled, type Value } from '../tensors/value.js';
import type { Limits, Prompt } from './prompt.js';

/**
 * A picture, made into the pixels that the model's own configuration asks for, else what the graph's shape does.
 *
 * @throws SinkscopeError `input` where the model takes no picture, or none of this size; `file` as the decoders
 */
export async function fromPicture(file: string, { file: model, inputs, patch }: Limits): Promise<Prompt> {
  const input = pixelInput(inputs);
  if (!input) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} takes no picture: none of its inputs is [batch, 3, height, width]. Choose a vision model.`,
    });
  }
  // The decoders are loaded when there is a picture: they would hold up the first layer of every text.
  const [{ imageToPixels, patchRectangles }, { patchTokens }, { preprocessingOf, preprocessingSource }, steps] =
    await Promise.all([
      import('../../tokens/image.js'),
      import('../../tokens/patches.js'),
      import('../../tokens/preprocessing.js'),
      import('../../tokens/steps.js'),
    ]);
  const found = preprocessingOf(modelFolder(model));
  const [, , height, width] = input.shape ?? [];
  const fixed = typeof height === 'number' && typeof width === 'number' ? { height, width } : undefined;
  const preprocessing = found?.preprocessing ?? (fixed && steps.plainPreprocessing(fixed));
  if (!preprocessing) {
    throw new SinkscopeError({
      code: 'input',
      file: model,
      message: `${model} has neither preprocessor_config.json nor processor_config.json beside it and takes pictures of any size; put its own there.`,
    });
  }
  const pixels = await imageToPixels(file, preprocessing);
  const colours = pixels.remark === undefined ? [] : [pixels.remark];
  const [, , ...made] = pixels.shape;
  if (fixed && (made[0] !== fixed.height || made[1] !== fixed.width)) {
    throw new SinkscopeError({
      code: 'input',
      file: found?.file,
      message: `${found?.file ?? file} makes pictures of ${grouped(made[1])} × ${grouped(made[0])} pixels, but the model takes ${grouped(fixed.width)} × ${grouped(fixed.height)}.`,
    });
  }
  const value: Value =
    input.type === DataType.float16
      ? { type: input.type, dims: pixels.shape, data: float32ToFloat16(pixels.pixels) }
      : { type: DataType.float, dims: pixels.shape, data: pixels.pixels };
  const given = new Map([[input.name, value]]);
  const orders = inputs.filter(({ role }) => role === 'order');
  for (const order of orders) {
    const count = patch ? patchRectangles(pixels, patch).length : order.shape?.at(-1);
    if (typeof count === 'number')
      given.set(
        order.name,
        filled(order.type, [1, count], (i) => i),
      );
  }
  return {
    given,
    source: 'image',
    bos: undefined,
    tokens: undefined,
    total: 0,
    window: { start: 0, end: 0 },
    named: (tokens) => patchTokens(tokens, pixels, patch, orders.length > 0),
    picture: { file, ...pixels.picture, prepared: [...colours, ...steps.preprocessingInWords(preprocessing)] },
    remark: pixels.remark === undefined ? undefined : `picture: ${pixels.remark}`,
    fed: { how: preprocessingSource(found), guessed: found === undefined || found.guess !== undefined },
  };
}
