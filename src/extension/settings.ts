/** The user's settings as one checked value. Defaults are those of the manifest (a test compares them). */
import * as v from 'valibot';
import { defaultThresholds, type Thresholds } from '../analysis/thresholds.js';
import { type Tint, tintChoices } from '../analysis/tint.js';
import { type Device, devices } from '../engine/contract/device.js';
import type { RunRequest } from '../engine/contract/events.js';
import { defaultBudget } from '../engine/host/budget.js';
import type { Engine } from '../engine/host/engine.js';

export interface Settings {
  /** Name of a bundled model, or a path as the user wrote it. */
  readonly model: string;
  /** Files and folders as the user wrote them. */
  readonly models: readonly string[];
  readonly bos: 'auto' | 'on' | 'off';
  /** How line ends of texts are read. */
  readonly lineEnds: 'lf' | 'as-is';
  /** Whether a text that is run as a prompt is the user's turn of a chat. */
  readonly chat: 'off' | 'on';
  /** The system's text of a chat; empty: none. */
  readonly system: string;
  readonly attention: boolean;
  readonly tint: Tint;
  readonly thresholds: Thresholds;
  /** Address of a model hub; empty: as the environment says. */
  readonly hubEndpoint: string;
  /** In bytes. */
  readonly memory: number;
  /** 0: as ONNX Runtime chooses. */
  readonly threads: number;
  /** What models are computed on. */
  readonly device: Device;
}

/** Whether a prefix token is asked for; undefined: as the model's tokenizer does it. */
export const prefixAsked = (bos: Settings['bos']) => (bos === 'auto' ? undefined : bos === 'on');

/** The chat that texts are turns of; undefined where they stand alone. */
export const chatAsked = ({ chat, system }: Pick<Settings, 'chat' | 'system'>): RunRequest['chat'] =>
  chat === 'off' ? undefined : system === '' ? {} : { system };

/** Has an engine read texts and compute models as the settings say. */
export function runAs(engine: Engine, settings: Pick<Settings, 'chat' | 'system' | 'lineEnds' | 'device'>): void {
  engine.device = settings.device;
  engine.lineEnds = settings.lineEnds;
  engine.chat = chatAsked(settings);
}

const from = (least: number, what = `a number from ${least} on`) =>
  v.pipe(v.number(what), v.finite(what), v.minValue(least, what));
const share = v.pipe(from(0, 'a number from 0 to 1'), v.maxValue(1, 'a number from 0 to 1'));
const whole = (least: number, what = `a whole number from ${least} on`) => v.pipe(from(least, what), v.integer(what));
const address = v.pipe(
  v.string('an address that begins with http'),
  v.regex(/^(https?:\/\/\S+)?$/, 'an address that begins with http'),
);
const megabytes = 'a whole number from 64 on, or 0 for a share of the memory';

/**
 * All settings from `read`, which gives the raw value of a key below `sinkscope.`. A value that does not fit is
 * replaced by its default and named in `problems`, in a sentence each.
 */
export function parseSettings(read: (key: string) => unknown): { settings: Settings; problems: readonly string[] } {
  const problems: string[] = [];
  const value = <T>(key: string, schema: v.GenericSchema<T>, fallback: T): T => {
    const result = v.safeParse(schema, read(key) ?? fallback);
    if (result.success) return result.output;
    const [{ message }] = result.issues;
    problems.push(`The setting sinkscope.${key} must be ${message}; ${JSON.stringify(fallback)} is used instead.`);
    return fallback;
  };
  const threshold = (key: keyof Thresholds, schema: v.GenericSchema<number>) =>
    value(`thresholds.${key}`, schema, defaultThresholds[key]);
  const settings: Settings = {
    model: value('model', v.pipe(v.string('a name or path'), v.nonEmpty('a name or path')), 'llama'),
    models: value('models', v.array(v.string('a list of paths'), 'a list of paths'), []),
    bos: value('bos', v.picklist(['auto', 'on', 'off'], '"auto", "on" or "off"'), 'auto'),
    lineEnds: value('lineEnds', v.picklist(['lf', 'as-is'], '"lf" or "as-is"'), 'lf'),
    chat: value('chat', v.picklist(['off', 'on'], '"off" or "on"'), 'off'),
    system: value('system', v.string('a text'), ''),
    attention: value('attention', v.boolean('true or false'), true),
    tint: value('tint', v.picklist(tintChoices, '"large", "all", "surprisal", "saliency" or "off"'), 'large'),
    thresholds: {
      absolute: threshold('absolute', from(0)),
      ratio: threshold('ratio', from(1)),
      soft: threshold('soft', from(1)),
      epsilon: threshold('epsilon', share),
      minQueries: threshold('minQueries', whole(1)),
      minShare: threshold('minShare', share),
    },
    hubEndpoint: value('hubEndpoint', address, ''),
    memory: value('memoryBudget', v.union([v.literal(0), whole(64)], megabytes), 0) * 2 ** 20 || defaultBudget(),
    device: value('device', v.picklist(devices, devices.map((one) => `"${one}"`).join(', ')), 'cpu'),
    threads: value('threads', v.pipe(whole(0), v.maxValue(256, 'at most 256')), 0),
  };
  return { settings, problems };
}
