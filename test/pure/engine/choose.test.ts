/** Which residual stream is run, by what is given. */
import { describe, expect, it } from 'vitest';
import type { Input } from '../../../src/anatomy/anatomy.js';
import { chooseStream, type GivenInputs, streamFor } from '../../../src/engine/inputs/choose.js';
import { DataType } from '../../../src/onnx/model.js';

function input(name: string, role: Input['role'], shape: Input['shape'] = [1, 'T']): Input {
  const type = role === 'features' ? DataType.float : DataType.int64;
  const open = { tokenAxis: undefined, extents: {}, along: undefined, keeps: undefined };
  return { name, role, type, shape, ...open, how: '', guessed: false };
}
const stream = (name: string, ...inputs: Input[]) => ({ name, anatomy: { inputs } });

const [ids, mask] = [input('input_ids', 'token-ids'), input('attention_mask', 'attention-mask')];
const pixels = input('pixel_values', 'features', [1, 3, 24, 24]);
const unused = (one: Input): Input => ({ ...one, role: 'unused' });
const clip = [stream('vision', unused(ids), pixels), stream('text', ids, mask, unused(pixels))] as const;
const target = input('decoder_input_ids', 'token-ids');
const t5 = [
  stream('decoder', input('input_ids', 'features'), mask, target),
  stream('encoder', ids, mask, unused(target)),
] as const;
const pair = [stream('query', input('query', 'token-ids')), stream('passage', input('passage', 'token-ids'))] as const;

const chosen = (streams: Parameters<typeof chooseStream>[0], given: GivenInputs | undefined, wanted?: string) => {
  const { stream, remark } = chooseStream(streams, wanted, given, '/m.onnx');
  return { name: stream.name, remark };
};
const problem = (...asked: Parameters<typeof chosen>) => {
  try {
    return chosen(...asked).name;
  } catch (error) {
    return error instanceof Error ? error.message : 'no error';
  }
};

describe('what is given chooses', () => {
  it.each([
    ['a text the text tower', clip, 'text', 'text'],
    ['a picture the vision tower', clip, 'image', 'vision'],
    ['tensors the tower that they are for', clip, ['input_ids', 'attention_mask'], 'text'],
    ['a text the encoder, whose decoder needs two', t5, 'text', 'encoder'],
    ['the encoder’s tensors the encoder', t5, ['input_ids', 'attention_mask'], 'encoder'],
  ] as const)('%s', (_, streams, given, name) => {
    expect(chosen(streams, given)).toEqual({ name, remark: undefined });
  });

  it.each([
    ['two towers', clip, ['input_ids', 'pixel_values'], 'vision', 'text'],
    ['an encoder and its decoder', t5, ['input_ids', 'decoder_input_ids'], 'decoder', 'encoder'],
    ['two texts', pair, 'text', 'query', 'passage'],
  ] as const)('what fits %s takes the first and says so', (_, streams, given, name, other) => {
    expect(chosen(streams, given)).toEqual({ name, remark: expect.stringContaining(`fits ${other} too`) });
  });

  it('a file with one stream takes what it takes', () => {
    expect(chosen([clip[0]], 'text').name).toBe('vision');
  });

  it('nothing is chosen where nothing is run', () => {
    expect(chosen(clip, undefined)).toEqual({ name: 'vision', remark: undefined });
    expect(streamFor(clip, 'text')?.name).toBe('text');
    expect(streamFor([clip[0]], 'text')).toBeUndefined();
  });
});

describe('a stream that is named', () => {
  it('is taken', () => {
    expect(chosen(clip, ['input_ids', 'pixel_values'], 'text')).toEqual({ name: 'text', remark: undefined });
  });

  it('and is not there is refused with those that are', () => {
    expect(problem(clip, 'text', 'audio')).toBe(
      '/m.onnx has no stream "audio"; choose one of those it has: vision, text.',
    );
  });

  it('and lacks its input says what it needs, and what would fit', () => {
    expect(problem(clip, 'text', 'vision')).toBe(
      'What was given does not fit the stream vision of /m.onnx, which needs a picture ("pixel_values"): give that, or choose the stream text.',
    );
    expect(problem(t5, 'text', 'decoder')).toBe(
      'What was given does not fit the stream decoder of /m.onnx, which needs tensors for "input_ids" and "decoder_input_ids" (--feeds): give that, or choose the stream encoder.',
    );
  });
});

it('what fits no stream is told what each needs', () => {
  const [needs] = [problem(t5, 'image')];
  expect(needs).toBe(
    'What was given fits none of the streams of /m.onnx, so give what one needs: decoder needs tensors for "input_ids" and "decoder_input_ids" (--feeds); encoder needs a text or token ids ("input_ids").',
  );
});
