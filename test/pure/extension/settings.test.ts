import { describe, expect, it } from 'vitest';
import manifest from '../../../package.json';
import { defaultBudget } from '../../../src/engine/host/budget.js';
import { chatAsked, parseSettings } from '../../../src/extension/settings.js';

describe('parseSettings', () => {
  it('has the defaults of the manifest', () => {
    const declared = new Map(
      Object.entries(manifest.contributes.configuration.properties).map(([key, { default: value }]) => [key, value]),
    );
    const asked: string[] = [];
    const fromManifest = parseSettings((key) => {
      asked.push(`sinkscope.${key}`);
      return declared.get(`sinkscope.${key}`);
    });
    expect(fromManifest).toEqual(parseSettings(() => undefined));
    expect(asked.sort()).toEqual([...declared.keys()].sort());
  });

  it('takes what fits', () => {
    const given: Record<string, unknown> = { model: 'a.onnx', bos: 'off', memoryBudget: 2048, 'thresholds.ratio': 500 };
    const { settings, problems } = parseSettings((key) => given[key]);
    expect(problems).toEqual([]);
    expect(settings).toMatchObject({ model: 'a.onnx', bos: 'off', memory: 2048 * 1024 * 1024 });
    expect(settings.thresholds.ratio).toBe(500);
  });

  it('asks for a chat only where it is on, and for a system’s text only where there is one', () => {
    expect(chatAsked({ chat: 'off', system: 'Be brief.' })).toBeUndefined();
    expect(chatAsked({ chat: 'on', system: '' })).toEqual({});
    expect(chatAsked({ chat: 'on', system: 'Be brief.' })).toEqual({ system: 'Be brief.' });
  });

  it('gives a share of the memory where none is set', () => {
    expect(parseSettings(() => undefined).settings.memory).toBe(defaultBudget());
    expect(parseSettings((key) => (key === 'memoryBudget' ? 64 : undefined)).settings.memory).toBe(64 * 2 ** 20);
  });

  it.each([
    ['model', 3, 'llama'],
    ['models', [1], []],
    ['bos', 'yes', 'auto'],
    ['lineEnds', 'crlf', 'lf'],
    ['chat', 'yes', 'off'],
    ['system', 3, ''],
    ['attention', 'no', true],
    ['thresholds.absolute', -1, 100],
    ['thresholds.ratio', 'many', 1000],
    ['thresholds.epsilon', 1.5, 0.3],
    ['thresholds.minQueries', 2.5, 8],
    ['memoryBudget', 63, 0],
    ['memoryBudget', 100.5, 0],
    ['threads', 1000, 0],
  ])('replaces a bad %s and says so', (key, bad, fallback) => {
    const { settings, problems } = parseSettings((asked) => (asked === key ? bad : undefined));
    expect(settings).toEqual(parseSettings(() => undefined).settings);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`sinkscope.${key}`);
    expect(problems[0]).toContain(JSON.stringify(fallback));
  });
});
