import { describe, expect, it } from 'vitest';
import { experiments } from '../../../src/experiments/catalogue.js';
import { readFromWebview, readReply, readToWebview } from '../../../src/protocol.js';
import { broken, lacking } from '../../support/broken.js';
import { fromWebview, toWebview, viewReplies } from '../../support/view-messages.js';

/** What a message has become on the other side of a webview's channel: JSON, but for arrays of numbers. */
function channelled(message: unknown): unknown {
  const views: ArrayBufferView[] = [];
  const json = JSON.stringify(message, (_, value) => (ArrayBuffer.isView(value) ? { view: views.push(value) } : value));
  return JSON.parse(json, (_, value) => (typeof value?.view === 'number' ? views[value.view - 1] : value));
}

type Case = readonly [what: string, message: unknown, read: (data: unknown) => unknown];

const replies = Object.entries(viewReplies).map(([type, reply]): Case => {
  return [`reply to ${type}`, reply, (data: unknown) => readReply(type as keyof typeof viewReplies, data)];
});
const kind = ({ type, ...rest }: { readonly type: string }) => `${type} ${JSON.stringify(rest).slice(0, 40)}`;

describe.each([
  ['to a webview', [...toWebview.map((message): Case => [kind(message), message, readToWebview]), ...replies]],
  ['from a webview', fromWebview.map((message): Case => [kind(message), message, readFromWebview])],
] as const)('what is said %s', (_, cases) => {
  it.each(cases)('arrives as it was sent: %s', (_, message, read) => {
    expect(read(channelled(message))).toStrictEqual(message);
  });

  it.each(cases)('is nothing if any part of it is something else: %s', (_, message, read) => {
    for (const [path, copy] of broken(message)) expect([path, read(copy)]).toEqual([path, undefined]);
    for (const other of [undefined, null, 'ready', 7, {}, { type: 'theme', dark: true }])
      expect(read(other)).toBeUndefined();
  });

  it.each(cases)('is nothing, or means the same, if any part of it is missing: %s', (_, message, read) => {
    for (const [path, copy] of lacking(message)) {
      const once = read(copy);
      if (once !== undefined) expect([path, read(channelled(once))]).toStrictEqual([path, once]);
    }
  });
});

describe('what a webview may say', () => {
  it.each([
    [undefined],
    ['ready'],
    [{ type: 'run', command: 'rm' }],
    [{ type: 'ready', extra: 1 }],
    [{ type: 'select', selection: { token: -1 } }],
    [{ type: 'select', selection: { token: 1.5 } }],
    [{ type: 'query', id: 0, query: { type: 'file', path: '/etc/passwd' } }],
    [{ type: 'choose-bos', bos: 'maybe' }],
    [{ type: 'save-file', name: 'x', kind: 'png', bytes: 'not bytes' }],
    [{ type: 'save-file', name: 'x', kind: 'exe', bytes: Uint8Array.of(1) }],
    [{ type: 'copy', text: 3 }],
    [
      {
        type: 'experiment',
        action: { do: 'run', experiment: 'perplexity', values: { text: { name: 'a', text: 'b' } } },
      },
    ],
    [{ type: 'experiment', action: { do: 'save-json', run: -1 } }],
    [{ type: 'experiment', action: { do: 'save-json', run: 3, file: '/etc/passwd' } }],
  ])('refuses %j', (message) => {
    expect(readFromWebview(message)).toBeUndefined();
  });
});

describe('an experiment', () => {
  const told = (experiments: unknown) => {
    return { type: 'experiments', message: { kind: 'choices', experiments, texts: { documents: {}, chosen: {} } } };
  };

  it.each(experiments.map(({ run, ...facts }) => [facts.id, facts] as const))('%s arrives as it is', (_, facts) => {
    expect(readToWebview(channelled(told([facts])))).toEqual(told([facts]));
    for (const [path, copy] of broken(facts)) expect([path, readToWebview(told([copy]))]).toEqual([path, undefined]);
  });

  it('is refused with an input of which the form makes nothing', () => {
    const [facts] = experiments;
    const colour = { kind: 'colour', label: 'Colour', flag: '--colour <x>', help: 'a colour' };
    expect(readToWebview(told([{ ...facts, inputs: { colour } }]))).toBeUndefined();
  });
});
