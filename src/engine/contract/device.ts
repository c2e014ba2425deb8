/** Where models are computed: what can be asked for, and what is said of it. */
import * as v from 'valibot';
import { real, type Sent, text } from '../../schemas.js';

/** ONNX Runtime's execution providers that a model may be run on, the CPU's first. */
export const providers = ['cpu', 'webgpu', 'dml', 'coreml', 'cuda'] as const;
export type Provider = (typeof providers)[number];

/** What can be asked for. `auto`: a graphics card whose numbers are the CPU's, else the CPU. */
export const devices = ['auto', ...providers] as const;
export type Device = (typeof devices)[number];
export const device = v.picklist(devices);

/** What a job is computed on from now on, where anything but the CPU was asked for. */
export const deviceEvent = v.object({
  type: v.literal('device'),
  asked: device,
  provider: v.picklist(providers),
  /** In a sentence: why it is this one, or what became of the one before. */
  why: text,
  /**
   * How far the card's first block is from the CPU's: of its tokens, the largest |difference| ÷ |hidden state| (L2), and
   * what is allowed; and operators of it that the card leaves to the CPU. Undefined where nothing was compared.
   */
  proof: v.optional(v.object({ difference: real, tolerance: v.number(), elsewhere: v.array(text) })),
});
export type DeviceEvent = Sent<typeof deviceEvent>;
