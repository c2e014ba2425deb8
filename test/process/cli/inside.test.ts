import { describe, expect, it } from 'vitest';
import analyses from '../../references/analysis.json';
import references from '../../references/experiments.json';
import graphReferences from '../../references/vision-graphs.json';
import { at, found } from '../../support/lists.js';
import { fixture, path, printed, sinkscope } from './here.js';

const boats = path('test/text/three-men-in-a-boat.md');
const sample = path('media/sample.md');
const pixels = [0, 1, 2, 3].map((i) => path(`test/references/pixels/${i}.safetensors`));
const json = async (...args: string[]) => JSON.parse(await printed(...args, '--json'));
const near = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-5);
/** PyTorch computes in another order of additions. */
const near4 = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(2e-4);

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await sinkscope(...args);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  return stderr;
}

describe('explain', () => {
  it('says of a token what PyTorch gives, layer by layer', async () => {
    const { parts } = await json('explain', 'llama', '--file', sample, '--token', '0');
    const [ofLayers, next] = parts;
    expect(ofLayers.columns.slice(0, 4)).toEqual(['layer', 'L2 norm', 'largest |h|', 'at dim']);
    for (const [k, { tokenNorm, tokenMax }] of analyses.models.llama.layers.entries()) {
      const [, norm, largest, dim] = ofLayers.rows[k];
      near4(norm, tokenNorm['0']);
      near4(largest, at(tokenMax['0'], 0));
      expect(dim).toBe(tokenMax['0'][1]);
    }
    expect(next.heading).toBe('Next token after ⟨bos⟩');
  });

  it('says in a sentence what is not there', async () => {
    const of = (...look: string[]) => refused('explain', 'llama', '--text', 'Short text', ...look);
    expect(await of()).toMatch(/Give a token, a layer, or a layer with a head\./);
    expect(await of('--token', '99')).toMatch(/There is no token 99: the run has tokens 0 to/);
    expect(await of('--head', '1', '--token', '0')).toMatch(/A head is one of a layer/);
  });
});

describe('bias', () => {
  it('prints every block with what it depends on', async () => {
    const result = await json('bias', 'llama', '--file', sample);
    expect(result).toMatchObject({
      model: path('media/models/llama/model.onnx'),
      T: 105,
      bos: true,
      file: sample,
      text: null,
      window: { start: 0, end: 104 },
      thresholds: { absolute: 100, ratio: 1000 },
      chosen: [0],
      reason: 'massive',
    });
    expect(result.blocks).toHaveLength(8);
    expect(result.tokens.map(({ id }: { id: number }) => id)).toEqual(analyses.models.llama.ids);
    const reference = at(at(references.implicitBias, 0).blocks, 3);
    near(result.blocks[3].projected.chosen.norm, reference.projectedFirstNorm);
    near(result.blocks[3].participation.input[0], at(reference.participationInput, 0));
  });

  it('takes tokens, and says in words what the bias is', async () => {
    const said = await printed('bias', 'llama', '--file', sample, '--tokens', '0,3');
    expect(said).toMatch(/of the attention goes to ⟨bos⟩, “.+” \(token 3\)/);
    expect(said).toContain(`model llama · T 105 tokens · BOS on · text ${sample} · keys ⟨bos⟩, “`);
    expect(said).toMatch(/ · massive \|h\| > 100 and ≥ 1,000 × median\n$/);
    expect(await refused('bias', 'llama', '--text', 'Short text', '--tokens', '99')).toMatch(/There is no token 99/);
  });
});

describe('lens', () => {
  it('prints the predictions of every layer and the parts of a logit', async () => {
    const reference = at(references.lens, 0);
    const result = await json('lens', 'llama', '--file', sample, '--top', '2');
    expect(result).toMatchObject({ T: 105, bos: true, top: 2 });
    const { top } = found(reference.lens, ({ layer, token }) => layer === 8 && token === 104);
    expect(result.points[8].rows[104].map(({ id }: { id: number }) => id)).toEqual(top.slice(0, 2).map(([id]) => id));
    near(result.attribution.logit, reference.attribution.logit);
    const said = await printed('lens', 'llama', '--file', sample);
    expect(said).toMatch(/^ +MLP of block 7 +\+2\.37$/m);
  });

  it('says where there is no head', async () => {
    expect(await refused('lens', fixture('dinov2_with_registers-dynamo-op18'), '--text', 'a')).toMatch(
      /takes pictures, not text/,
    );
    expect(await refused('lens', 'llama')).toMatch(/There is no text: give --text or --file\./);
  });
});

describe('a text that is too long', () => {
  it.each(['bias', 'lens'])('%s says what can be done, and which part it ran', async (command) => {
    expect(await refused(command, 'llama', '--file', boats)).toMatch(/at most 512 tokens\. Use --window first or/);
    const said = await printed(command, 'llama', '--file', boats, '--window', 'last');
    expect(said).toMatch(
      /T 512 tokens · .* · line ends [\d,]+ .*\n.*only the last 511 of its [\d,]+ tokens were run\./,
    );
  });
});

describe('streaming', () => {
  it('prints shares, perplexities and what they depend on', async () => {
    const args = ['streaming', 'llama', '--file', boats, '--tokens', '511', '--rolling', '0'];
    const result = await json(...args);
    expect(result).toMatchObject({ window: 64, sinks: 4, length: 512, prefix: 0, tokens: 511, left: 0 });
    near(result.evicted_share.window[2][1], at(at(references.streaming, 0).evictedShare.window, 2, 1));
    expect(result.rows.map(({ name }: { name: string }) => name)).toEqual(['all', 'window', 'window and sinks']);
    expect(result.rows[1].perplexity).toBeGreaterThan(result.rows[2].perplexity);
    expect(result.conclusion).toMatch(/sinks that the model needs/);
  });

  it('says one sink in the singular', async () => {
    const args = ['--tokens', '127', '--length', '128', '--window', '16', '--sinks', '1', '--rolling', '0'];
    const said = await printed('streaming', 'llama', '--file', boats, ...args);
    expect(said).toMatch(
      /: a window of 16 keys takes perplexity from [\d.]+ to [\d.]+, with the first token kept to [\d.]+\.$/m,
    );
    expect(said).toMatch(/^Attention evicted, first token kept: [\d.]+ %$/m);
    expect(said).toMatch(/ · attention window 16 keys · sinks kept 1(?: · |$)/m);
  });

  it('refuses windows that leave nothing out', async () => {
    expect(await refused('streaming', 'llama', '--file', boats, '--window', '600')).toMatch(/leaves nothing out/);
  });
});

describe('compare', () => {
  it('prints every run, shared axes and differences', async () => {
    const result = await json('compare', 'llama-plain', 'llama-bias', '--file', sample);
    expect(result.axes).toMatchObject({ layers: 8, heads: 4, tokens: 104 });
    expect(result.runs.map(({ name }: { name: string }) => name)).toEqual(['llama-plain', 'llama-bias']);
    expect(result.runs[0].sinks.extra_rate).toBeNull();
    expect(result.runs[1].sinks.extra_rate).toBe(0.625);
    expect(result.runs[0].perplexity).toMatchObject({ window: 104, windows: 1 });
    expect(result.differences[0].log10_ratio).toHaveLength(9);
    expect(result.differences[0].token_max[8]).toHaveLength(104);
    expect(result).toMatchObject({ texts: [{ name: sample, file: sample, text: null }], window: 256, scored: null });
  });

  it('says what the perplexities depend on', async () => {
    const args = ['compare', 'llama-plain', 'llama', '--file', boats, '--window', '64', '--tokens', '150'];
    const { texts, scored, runs } = await json(...args);
    expect([texts[0].file, scored]).toEqual([boats, 150]);
    expect(runs.map((run: { perplexity: object }) => run.perplexity)).toMatchObject([
      { window: 64, stride: 64, windows: 2, left: 22 },
      { window: 64, stride: 63, windows: 2, left: 24 },
    ]);
    expect(await printed(...args)).toMatch(
      /\nmodels llama-plain, llama · text .* · perplexity in windows of 64 · stride 64, 63 · tokens scored 126 · /,
    );
  });

  it('takes several texts', async () => {
    const said = await printed('compare', 'llama', '--text', 'One text, and then', '--text', 'another one, longer');
    expect(said).toMatch(/^Massive activations in llama on text 1 \(.*, llama on text 2 \(/);
    expect(said).toMatch(/\nmodels llama · text text 1, text 2 · T /);
    expect(said).toMatch(/Against llama on text 1, llama on text 2: other tokens, so no difference by token is shown/);
    expect(await refused('compare', 'llama', '--text', 'One text')).toMatch(/nothing to compare/);
  });
});

describe('vision', () => {
  it('prints how the output changes, with the entries that were set', async () => {
    const result = await json('vision', fixture('dinov2_with_registers-dynamo-op18'), '--feeds', ...pixels);
    expect(result).toMatchObject({ layer: 2, dims: [23], T: 20, output_shape: [1, 20, 64], seed: 0, massive: false });
    expect(result.entries).toHaveLength(4);
    expect(result.rows.map(({ name }: { name: string }) => name)).toEqual(['zero', 'mean', 'random']);
  });

  it('wants at least two images', async () => {
    const model = fixture('vit-ort-fused');
    expect(await refused('vision', model, '--feeds', at(pixels, 0))).toMatch(/give at least two/);
    expect(await refused('vision', model)).toMatch(/give --images or --feeds/);
  });
});

describe('ratios', () => {
  it('prints the fit and what lies outside it', async () => {
    const { fixture: name, ratios } = graphReferences.graphs;
    const feeds = fixture(name, 'golden.safetensors');
    const result = await json('ratios', fixture(name), fixture(name), '--feeds', feeds, '--tail', '0.01');
    expect(result.tail).toBe(0.01);
    expect(result.ratios).toHaveLength(ratios.length);
    for (const { of, layer, limit, outside, outside_untrained } of result.ratios) {
      const reference = found(ratios, (ratio) => ratio.of === of && ratio.layer === layer);
      expect(Math.abs(limit / reference.limit - 1)).toBeLessThan(2e-3);
      expect([outside, outside_untrained]).toEqual([outside, outside]);
    }
    expect(result.conclusion).toMatch(/made no activations massive here/);
  });

  it('refuses a twin of another shape', async () => {
    const feeds = fixture('gnn-ts-op17', 'golden.safetensors');
    const said = await refused('ratios', fixture('gnn-ts-op17'), fixture('vit-ort-fused'), '--feeds', feeds);
    expect(said).toMatch(/pixel_values/);
  });
});
