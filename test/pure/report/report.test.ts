import fc from 'fast-check';
import { parse } from 'parse5';
import { describe, expect, it } from 'vitest';
import { emptyAnalysis, fold } from '../../../src/analysis/analysis.js';
import { eventsOf } from '../../../src/analysis/events.js';
import { contentsOf } from '../../../src/report/contents.js';
import { pack, unpack } from '../../../src/report/pack.js';
import { reportPage } from '../../../src/report/page.js';
import { classified, mixed, translated } from '../../../webview/dev/runs.js';
import { always, names, unseen } from '../../support/hostile.js';
import { at } from '../../support/lists.js';

import { layers, pattern, run } from '../analysis/example.js';

const assets = {
  style: 'p { color: red }',
  host: 'host("</script>")\n//# sourceMappingURL=report.js.map',
  panel: 'panel("</script>")\n//# sourceMappingURL=panel.js.map',
};
const nonce = 'c2lua3Njb3BlLW5vbmNlLTI0';

interface Node {
  readonly nodeName: string;
  readonly childNodes?: readonly Node[];
  readonly attrs?: readonly { readonly name: string; readonly value: string }[];
  readonly value?: string;
}

/** All elements of a page with their text, as a browser reads them. */
function elementsOf(html: string) {
  const found: { name: string; text: string; attributes: Record<string, string> }[] = [];
  const visit = ({ nodeName, childNodes = [], attrs = [] }: Node) => {
    const text = childNodes.map(({ value = '' }) => value).join('');
    if (!nodeName.startsWith('#'))
      found.push({
        name: nodeName,
        text,
        attributes: Object.fromEntries(attrs.map(({ name, value }) => [name, value])),
      });
    childNodes.forEach(visit);
  };
  visit(parse(html));
  return found;
}

describe('a run', () => {
  it('is made of its events again', () => {
    const analysis = run(layers, [pattern([[0, 0, 0.9]])]);
    expect(eventsOf(analysis).reduce(fold, emptyAnalysis)).toEqual(analysis);
    // Of a mixture of experts, of a decoder with its encoder, of a classifier: with holes, and every kind of event.
    for (const { events } of [mixed(), translated(), classified()]) {
      const folded = events.reduce(fold, emptyAnalysis);
      expect(eventsOf(folded)).toEqual(events);
    }
  });
});

describe('what is packed', () => {
  it('comes back bit by bit, in arrays of their kind', () => {
    const value = {
      floats: Float32Array.of(1.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3.4e38),
      whole: Int32Array.of(-1, 2 ** 31 - 1),
      // A view in the middle of a larger buffer, as what comes from another process is.
      bytes: Uint8Array.of(9, 9, 1, 2, 3, 9).subarray(2, 5),
      none: new Float32Array(),
      text: 'half \uD83D of a pair, \u0000 and ⟨bos⟩',
    };
    expect(unpack(pack(value))).toStrictEqual({ ...value, bytes: Uint8Array.of(1, 2, 3) });
  });

  it('is a third smaller than what is not put by its places', () => {
    const random = Float32Array.from({ length: 20_000 }, (_, i) => 5 + Math.sin(i * 12.9898) * 2);
    expect(pack({ random }).length).toBeLessThan(0.9 * random.byteLength);
  });
});

describe('the page of a report', () => {
  const of = (name: string) => {
    const analysis = run(layers);
    const contents = contentsOf({ name, analysis, experiments: [] });
    return reportPage(contents, assets, { title: name, sentence: name, nonce });
  };

  it('is the same few elements, whatever things are called', () => {
    const usual = elementsOf(of('notes.md'));
    const shape = (html: string) => elementsOf(html).map(({ name, attributes }) => ({ name, attributes }));
    fc.assert(
      fc.property(names, (name) => {
        const html = of(name);
        expect(shape(html)).toEqual(usual.map(({ name, attributes }) => ({ name, attributes })));
        expect(unseen(html.replaceAll('\n', ''))).toEqual([]);
      }),
      { ...always, numRuns: 200 },
    );
  });

  it('lets nothing run or be fetched but what it holds itself', () => {
    const elements = elementsOf(of('notes.md'));
    const policy = at(
      elements.filter(({ attributes }) => attributes['http-equiv']),
      0,
    ).attributes.content;
    expect(policy?.split('; ').toSorted()).toEqual([
      "base-uri 'none'",
      "default-src 'none'",
      "form-action 'none'",
      'img-src blob: data:',
      `script-src 'nonce-${nonce}'`,
      `style-src 'nonce-${nonce}'`,
    ]);
    const addresses = elements.flatMap(({ attributes }) => [attributes.src, attributes.href]);
    expect(addresses.filter((address) => address !== undefined)).toEqual(['data:,']);
    expect(elements.map(({ text }) => text).join('')).not.toContain('sourceMappingURL');
    const scripts = elements.filter(({ name }) => name === 'script').map(({ text }) => text.trim());
    expect(scripts.slice(1)).toEqual(['host("<\\/script>")']);
    expect(unpack(Buffer.from(scripts[0] ?? '', 'base64'))).toMatchObject({ panel: 'panel("</script>")' });
  });

  it('does not tell where files lie on the machine that it was made on', () => {
    const { messages } = contentsOf({ name: 'notes.md', analysis: run(layers) });
    const told = JSON.stringify(messages);
    expect(told).toContain('"file":"model.onnx"');
    expect(told).not.toContain('/models/example');
  });
});
