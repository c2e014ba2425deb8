/** Writing on, against what PyTorch writes. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type {
  BegunEvent,
  GeneratedEvent,
  GenerateRequest,
  WrittenEvent,
} from '../../../src/engine/contract/generate.js';
import type { Problem } from '../../../src/errors.js';
import references from '../../references/generate.json';
import { budget, demoModel, fixtureModel, path, startEngine, temporaryFolder } from '../../support/experiments.js';
import { noSinks } from '../../support/generate.js';
import { at, pairs } from '../../support/lists.js';
import windowed from '../../zoo/families/gpt_oss-genai-windowed/fixture.json';

const engine = startEngine();
const folder = await temporaryFolder();
const greedy = { temperature: 0, topK: 0, topP: 1, seed: 0 };
const asked = { ...budget, untilEnd: false, sampling: greedy, sinks: noSinks };

interface Written {
  readonly begun: BegunEvent | undefined;
  readonly tokens: readonly WrittenEvent[];
  readonly end: GeneratedEvent | undefined;
  readonly problem: Problem | undefined;
}

async function write(request: Pick<GenerateRequest, 'model' | 'prompt' | 'tokens'> & Partial<GenerateRequest>) {
  const tokens: WrittenEvent[] = [];
  let [begun, end, problem]: [BegunEvent?, GeneratedEvent?, Problem?] = [];
  for await (const event of engine.run('generate', { ...asked, ...request })) {
    if (event.type === 'begun') begun = event;
    else if (event.type === 'written') tokens.push(event);
    else if (event.type === 'generated') end = event;
    else problem = event.problem;
  }
  const written: Written = { begun, tokens, end, problem };
  return written;
}

const idsOf = ({ tokens }: Written) => tokens.map(({ id }) => id);

describe('the demo models, which have no cache', () => {
  it.each(Object.entries(references.models))('%s writes what PyTorch writes', async (name, expected) => {
    const written = await write({
      model: demoModel(name),
      prompt: { ids: expected.prompt },
      tokens: expected.ids.length,
      sinks: { epsilon: 0, minQueries: 1, minShare: 0 },
    });
    expect(written.problem).toBeUndefined();
    expect(idsOf(written)).toEqual(expected.ids);
    for (const [token, surprisal] of pairs(written.tokens, expected.surprisal))
      expect(token.surprisal).toBeCloseTo(surprisal, 3);
    for (const [token, entropy] of pairs(written.tokens, expected.entropy))
      expect(token.entropy).toBeCloseTo(entropy, 3);
    for (const [{ top }, layers] of pairs(written.tokens, expected.largest))
      for (const [entries, largest] of pairs(top, layers))
        expect(Math.abs(at(entries, 0).value) / largest).toBeCloseTo(1, 3);
    for (const [{ alike }, cosines] of pairs(written.tokens, expected.alike))
      for (const [own, cosine] of pairs([...alike], cosines)) expect(own).toBeCloseTo(cosine, 4);
    expect(at(written.tokens, -1 + written.tokens.length).added).toBe(written.end?.text);
    for (const { id, alternatives } of written.tokens) expect(at(alternatives, 0).id).toBe(id);
    const first = at(written.tokens, -1 + written.tokens.length).sinks.find(({ token }) => token === 0);
    for (const [alpha, mean] of pairs([...(first?.alpha ?? [])], expected.alpha)) expect(alpha).toBeCloseTo(mean, 4);
    expect(written.end).toMatchObject({ ended: 'tokens', cache: { tokens: 0 } });
    expect(written.end?.cache.without).toBe('it has no inputs for keys and values of earlier tokens');
  });
});

describe('fixtures, from their caches', () => {
  it.each(Object.entries(references.fixtures))('%s writes what transformers writes', async (name, { prompt, ids }) => {
    const written = await write({ model: fixtureModel(name), prompt: { ids: prompt }, tokens: ids.length });
    expect(written.problem).toBeUndefined();
    expect(idsOf(written)).toEqual(ids);
    expect(written.end?.cache).toMatchObject({ tokens: ids.length, without: undefined });
    // Keys and values of 3 layers in four bytes: those of llama are shared by two heads each.
    const width = name.startsWith('llama') ? 32 : 64;
    expect(written.end?.cache.bytes).toBe(2 * 3 * width * 4 * (prompt.length + ids.length));
  });
});

describe('all others with a cache', () => {
  it.each(Object.entries(references.whole))(
    '%s writes what ONNX Runtime makes of the whole text',
    async (name, one) => {
      const model = path(`test/zoo/${one.folder}/${name}/model.onnx`);
      const written = await write({ model, prompt: { ids: one.prompt }, tokens: one.ids.length });
      expect(written.problem).toBeUndefined();
      expect(idsOf(written)).toEqual(one.ids);
      expect(written.end?.cache).toMatchObject({ tokens: one.ids.length, without: undefined });
    },
  );
});

it('gpt-oss, whose caches of every other block keep a window, writes what transformers writes', async () => {
  const { ids, written: expected } = windowed;
  const written = await write({
    model: path('test/zoo/families/gpt_oss-genai-windowed/model.onnx'),
    prompt: { ids },
    tokens: expected.length,
  });
  expect(idsOf(written)).toEqual(expected);
  expect(written.end?.cache).toMatchObject({ tokens: expected.length, without: undefined });
});

const model = fixtureModel('gpt2-optimum-past');
const prompt = { ids: [5, 6, 7, 8] };

describe('what is drawn', () => {
  it('is decided by the seed', async () => {
    const sampling = { temperature: 1.5, topK: 20, topP: 0.95, seed: 3 };
    const [one, same, other] = [
      await write({ model, prompt, tokens: 12, sampling }),
      await write({ model, prompt, tokens: 12, sampling }),
      await write({ model, prompt, tokens: 12, sampling: { ...sampling, seed: 4 } }),
    ];
    expect(idsOf(one)).toEqual(idsOf(same));
    expect(idsOf(one)).not.toEqual(idsOf(other));
    // Each is among the twenty most likely: its surprisal is no more than of one in twenty of what is left.
    for (const { id, alternatives } of one.tokens)
      if (alternatives.every((alternative) => alternative.id !== id)) expect(alternatives).toHaveLength(10);
  });
});

describe('where there is no room', () => {
  const full = Array.from({ length: 64 }, (_, i) => i % 160);

  it('nothing is written behind a prompt that fills the context', async () => {
    const { problem, tokens } = await write({ model, prompt: { ids: full }, tokens: 3 });
    expect(tokens).toEqual([]);
    expect(problem).toMatchObject({ code: 'too-long', limit: { tokens: 64, context: 63 } });
    expect(problem?.message).toMatch(
      /^The prompt and one new token are 65 tokens, but .+: choose a part of at most 63 tokens/,
    );
  });

  it('what was written stays when the context is full', async () => {
    const { tokens, end } = await write({ model, prompt: { ids: full.slice(0, 62) }, tokens: 9 });
    expect(tokens).toHaveLength(2);
    expect(end?.ended).toBe('context');
  });

  it('a part of the prompt is taken that leaves as much as is asked for', async () => {
    const { begun, tokens, end } = await write({ model, prompt: { ids: full }, tokens: 9, window: 'last' });
    expect(begun?.prompt).toMatchObject({ total: 64, window: { start: 9, end: 64 } });
    expect(tokens).toHaveLength(9);
    expect(end?.ended).toBe('tokens');
  });

  it('a part of the prompt is taken where more is asked for than there is room for', async () => {
    const { begun, end } = await write({ model, prompt: { ids: full }, tokens: 90, window: 'last' });
    expect(begun?.prompt.window).toEqual({ start: 32, end: 64 });
    expect(end?.ended).toBe('context');
    const short = await write({ model, prompt, tokens: 90, window: 'last' });
    expect(short.begun?.prompt.window).toEqual({ start: 0, end: 4 });
  });

  it('a chat template that fills the context by itself is told of, whatever part is asked for', async () => {
    for (const name of ['model.onnx', 'tokenizer.json', 'config.json'])
      await copyFile(path(`media/models/llama/${name}`), join(folder, name));
    await writeFile(join(folder, 'chat_template.jinja'), `${'word '.repeat(600)}{{ messages[0].content }}`);
    for (const window of [undefined, 'last'] as const) {
      const asked = { model: join(folder, 'model.onnx'), prompt: { text: 'The cat' }, tokens: 3, window, chat: {} };
      const { problem } = await write(asked);
      expect(problem?.message).toMatch(/^What is put around the text takes \d{3} tokens by itself, but .* template/);
      expect(problem?.limit).toBeUndefined();
    }
  });

  it('a buffer of a cache is a bound too', async () => {
    const file = path('test/zoo/families/form-attention24-tensorscatter/model.onnx');
    const { tokens, end } = await write({ model: file, prompt: { ids: full.slice(0, 20) }, tokens: 9 });
    expect(tokens).toHaveLength(4);
    expect(end).toMatchObject({ ended: 'context', cache: { tokens: 0 } });
    expect(end?.cache.without).toMatch(/^a step with its cache \("cache\.0\.key" and the others\) does not give/);
  });
});

describe('what predicts nothing', () => {
  it.each([
    ['test/zoo/families/operator-gqa-bidirectional', /lets every token see those after it/],
    ['test/zoo/families/clip-text-projection-dy18', /predicts no tokens/],
    ['test/zoo/families/t5-whole-ts-op17', /^A text is run by the encoder of .+; the decoder takes more than a text/],
    ['test/zoo/families/cross-bart-decoder-op23', /is not run on a text alone: its input ".+" has to be given too/],
    ['test/zoo/families/cross-t5-optimum-past', /alone: its input "past_key_values\.0\.encoder\.key" has to be given/],
  ])('%s writes nothing', async (folder, why) => {
    const { problem } = await write({ model: path(`${folder}/model.onnx`), prompt, tokens: 2 });
    expect(problem?.message).toMatch(why);
  });

  it('settings out of range are refused', async () => {
    const { problem } = await write({ model, prompt, tokens: 2, sampling: { ...greedy, topP: 0 } });
    expect(problem?.message).toMatch(/sampling\.topP/);
    const drawn = { ...greedy, temperature: 1 };
    const above = await write({ model, prompt, tokens: 2, sampling: { ...drawn, topK: 161 } });
    expect(above.tokens).toEqual([]);
    expect(above.problem?.message).toMatch(/the model knows 160: choose a top k of at most 160, or 0 for all/);
    const all = await write({ model, prompt, tokens: 2, sampling: { ...drawn, topK: 160 } });
    expect(all.problem).toBeUndefined();
    expect(idsOf(all)).toEqual(idsOf(await write({ model, prompt, tokens: 2, sampling: drawn })));
  });
});
