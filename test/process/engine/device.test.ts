/**
 * Which device computes, and what becomes of trouble on a card. No card is needed: sessions of one are the CPU's own
 * with something wrong. That there is none is tried for real, in the engine's process.
 */
import { describe, expect, it } from 'vitest';
import { computesInHalf } from '../../../src/anatomy/ops.js';
import { type Device, type DeviceEvent, devices } from '../../../src/engine/contract/device.js';
import type { MeasuredEvent } from '../../../src/engine/contract/measure.js';
import { measure } from '../../../src/engine/jobs/measure.js';
import { loadModel } from '../../../src/engine/stages/loaded.js';
import { Placement, type Proof } from '../../../src/engine/stages/placement.js';
import { type Machine, Providers } from '../../../src/engine/stages/providers.js';
import { StageRunner } from '../../../src/engine/stages/runner.js';
import { createSession, providersOfBuild } from '../../../src/engine/stages/session.js';
import type { Values } from '../../../src/engine/tensors/value.js';
import { collect, failure, only, request, startEngine } from '../../support/engine.js';
import { fixture } from '../../support/files.js';

/** What ONNX Runtime 1.30 says, by kind of trouble; `adapter` was seen on a machine without a card. */
const said = {
  adapter:
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n',
  lost: 'Non-zero status code returned while running MatMul node. Status Message: WebGPU device lost (2): VK_ERROR_DEVICE_LOST',
  memory: 'Status Message: WebGPU validation failed. [Buffer] is invalid due to a previous error.',
  buffer: 'Buffer size (2147483648) exceeds the max buffer size limit (1073741824).',
  half: 'Program Add requires f16 but the device does not support it.',
};

/** A machine with these providers, whose cards compute as the CPU does unless `wrong` says otherwise. */
function machine({
  bundled = ['cpu', 'webgpu'],
  others = [],
  library = true,
  lacking = 'none',
  make = () => {},
  wrong = (results) => results,
}: {
  bundled?: string[];
  others?: string[];
  library?: boolean;
  /** An operator that cards do not have. */
  lacking?: string;
  make?: () => void;
  wrong?: (results: Values, provider: string) => Values;
} = {}) {
  const made: string[] = [];
  const tried: Uint8Array[] = [];
  const alive = new Set<object>();
  const create: typeof createSession = async (bytes, folder, { provider = 'cpu', whole, ...options }) => {
    if (whole) {
      tried.push(bytes);
      // A node's `op_type` is its field 4. The words are those of ONNX Runtime 1.30.
      const op = Buffer.from([0x22, lacking.length, ...Buffer.from(lacking)]);
      if (Buffer.from(bytes).includes(op))
        throw new Error(
          'nodes that are assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled by the user.',
        );
      return createSession(bytes, folder, options);
    }
    made.push(provider);
    if (provider !== 'cpu') make();
    const session = await createSession(bytes, folder, options);
    if (provider === 'cpu') return session;
    const own = {
      run: async (feeds: Values) => wrong(await session.run(feeds), provider),
      async release() {
        alive.delete(own);
        await session.release();
      },
    };
    alive.add(own);
    return own;
  };
  const build = () => [
    ...bundled.map((name) => ({ name, bundled: true })),
    ...others.map((name) => ({ name, bundled: false })),
  ];
  const found: Machine = { create, build, loads: () => library, system: 'linux x64' };
  return { providers: new Providers(found), create, made, tried, alive };
}

const fails = (message: string) => () => {
  throw new Error(message);
};

describe('the provider that is meant', () => {
  it.each<[string, Parameters<typeof machine>[0], Device, object]>([
    ['the CPU by name', {}, 'cpu', { provider: 'cpu' }],
    ['a card by name', {}, 'webgpu', { provider: 'webgpu' }],
    [
      'auto: the first that works, and what may take its place',
      { bundled: ['cpu', 'dml', 'webgpu'] },
      'auto',
      { provider: 'webgpu', others: ['dml'] },
    ],
    [
      'auto where none of several works',
      { bundled: ['cpu', 'dml', 'webgpu'], make: fails(said.adapter) },
      'auto',
      { provider: 'cpu', why: expect.stringMatching(/^No graphics card is used: webgpu: no graphics .*; dml: /) },
    ],
    [
      'auto without a card',
      { make: fails(said.adapter) },
      'auto',
      {
        provider: 'cpu',
        why: expect.stringMatching(/^No graphics card is used: no graphics card was found.*VK_DRIVER_FILES/),
      },
    ],
    [
      'auto without the library',
      { make: fails(said.adapter), library: false },
      'auto',
      { provider: 'cpu', why: expect.stringContaining('libvulkan1') },
    ],
    [
      'auto where the build has none',
      { bundled: ['cpu'], others: ['cuda'] },
      'auto',
      { provider: 'cpu', why: 'No graphics card is used: this build of ONNX Runtime has the CPU alone.' },
    ],
    [
      'auto with a card that computes nonsense',
      { wrong: () => new Map([['y', { type: 1, dims: [1], data: Float32Array.of(0) }]]) },
      'auto',
      { provider: 'cpu', why: expect.stringContaining('add 3 and 3') },
    ],
  ])('is %s', async (_, what, asked, expected) => {
    expect(await machine(what).providers.choose(asked)).toEqual(expected);
  });

  it.each<[string, Parameters<typeof machine>[0], Device, string]>([
    ['not in the build', {}, 'dml', '(linux x64) has no dml. Here are cpu and webgpu; choose one of them, or auto.'],
    ['not there', { make: fails(said.adapter) }, 'webgpu', 'Here is cpu; choose it, or auto.'],
    [
      'not downloaded',
      {
        bundled: ['cpu'],
        others: ['cuda'],
        make: fails('OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library'),
      },
      'cuda',
      'The device cuda cannot be used: its libraries are not there',
    ],
  ])('is refused that is %s, with those that are', async (_, what, asked, sentence) => {
    await expect(machine(what).providers.choose(asked)).rejects.toMatchObject({
      code: 'input',
      message: expect.stringContaining(sentence),
    });
  });

  it('is looked for once, and a card that is not bundled only where it is named', async () => {
    const { providers, made } = machine({ others: ['cuda'], make: fails(said.adapter) });
    await providers.choose('auto');
    await providers.choose('auto');
    expect(made).toEqual(['webgpu']);
  });
});

const { model } = fixture('llama-ts-op17-sdpa');
const loaded = loadModel(model);
const { blocks, layers, unembedding } = loaded.anatomy;
const [first = '', second = ''] = blocks.map(({ residPost }) => residPost);
const [once, ample] = [1, 2 ** 31];

/** Losses of a sequence run with a card, what was said of it, and which sessions were made. */
async function measured(
  on: ReturnType<typeof machine>,
  asked: Device,
  memory = once,
  proofs = new Map<string, Proof>(),
  half = false,
) {
  const events: DeviceEvent[] = [];
  const known = { providers: on.providers, proofs, model: 'a', quantised: false, half };
  const placement = new Placement(asked, await on.providers.choose(asked), known, (event) => events.push(event));
  const runner = new StageRunner(loaded, 1, on.create, placement);
  on.made.length = 0;
  const losses: number[] = [];
  const ids = Array.from({ length: 12 }, (_, i) => (i * 37) % 150);
  const sequences = [{ ids, from: 1, variants: [{ name: 'as is', interventions: [] }] }];
  const take = async (event: { type: string }) => {
    if (event.type === 'measured') losses.push(...(event as MeasuredEvent).losses);
  };
  await measure(runner, { model, sequences, memory, threads: 1 }, take);
  await runner.release();
  return { losses, events, made: [...on.made], alive: on.alive.size, why: events.map(({ why }) => why).join(' ') };
}

const onCpu = measured(machine(), 'cpu');

/** Results in which a value is off by a part of itself. */
const off = (name: string, part: number) => (results: Values) => {
  const value = results.get(name);
  if (!value) return results;
  const data = Float32Array.from(value.data as Float32Array, (one) => one * (1 + part));
  return new Map([...results, [name, { ...value, data }]]);
};

/** Fails at a stage that gives a value, as long as there are more kept sessions than `most`. */
const failsAt = (name: string, message: string) => (results: Values) => {
  if (results.has(name)) throw new Error(message);
  return results;
};

describe('a card', () => {
  it('is taken whose first block is the CPU’s, which is computed once for all runs of the model', async () => {
    const on = machine({ wrong: off(first, 1e-6) });
    const proofs = new Map<string, Proof>();
    const { losses, events, made } = await measured(on, 'auto', once, proofs);
    expect(events).toMatchObject([{ asked: 'auto', provider: 'webgpu', proof: { tolerance: 1e-4 } }]);
    expect(events[0]?.proof?.difference).toBeCloseTo(1e-6, 7);
    for (const [i, loss] of (await onCpu).losses.entries()) expect(losses[i]).toBeCloseTo(loss, 3);
    // One block by both, the others by the card; what comes before the blocks is not worth its way there.
    expect(made.filter((provider) => provider === 'webgpu').length).toBeGreaterThanOrEqual(layers);
    const again = await measured(on, 'auto', once, proofs);
    expect(again.events).toEqual(events);
    const cpus = (list: readonly string[]) => list.filter((provider) => provider === 'cpu').length;
    expect(cpus(again.made)).toBe(cpus(made) - 1);
  });

  it('is refused by auto whose first block is not: every number is the CPU’s', async () => {
    const { losses, events } = await measured(machine({ wrong: off(first, 1e-3) }), 'auto');
    expect(losses).toEqual((await onCpu).losses);
    expect(events).toMatchObject([{ provider: 'cpu', why: expect.stringContaining('is not the CPU') }]);
  });

  it('may be off as far as half precision rounds where products are in it, whatever hidden states are in', async () => {
    const { events } = await measured(machine({ wrong: off(first, 1e-3) }), 'auto', once, new Map(), true);
    expect(events).toMatchObject([{ provider: 'webgpu', proof: { tolerance: 1e-2 } }]);
    const [halves, singles] = ['llama-optimum-past-fp16', 'llama-optimum-past'].map((name) =>
      computesInHalf(loadModel(fixture(name).model).model),
    );
    expect([halves, singles]).toEqual([true, false]);
  });

  it('is refused by auto for another one, which is taken, and both are said', async () => {
    const wrong = (results: Values, provider: string) => (provider === 'webgpu' ? off(first, 1e-3)(results) : results);
    const on = machine({ bundled: ['cpu', 'dml', 'webgpu'], wrong });
    const proofs = new Map<string, Proof>();
    const { losses, events, why } = await measured(on, 'auto', once, proofs);
    expect(losses).toEqual((await onCpu).losses);
    expect(events).toMatchObject([{ provider: 'dml', proof: { difference: 0 } }]);
    expect(why).toMatch(/^The first block that webgpu computes is not the CPU.*\. Computed by dml, whose first block/);
    const again = await measured(on, 'auto', once, proofs);
    expect(again.events).toEqual(events);
    expect(again.made).not.toContain('webgpu');
    const fails = machine({
      bundled: ['cpu', 'dml', 'webgpu'],
      wrong: (results, provider) => {
        if (provider === 'webgpu' && results.has(first)) throw new Error('Status Message: no kernel');
        return results;
      },
    });
    expect((await measured(fails, 'auto')).why).toMatch(/^webgpu failed at block 1 .*no kernel\)\. Computed by dml/);
  });

  it('computes where it is named, and the result says not to trust it', async () => {
    const { losses, events } = await measured(machine({ wrong: off(first, 1e-2) }), 'webgpu');
    expect(losses).not.toEqual((await onCpu).losses);
    expect(events).toMatchObject([{ provider: 'webgpu', why: expect.stringContaining('do not trust') }]);
  });

  it('that lacks an operator says which the CPU runs in its place, each kind tried once', async () => {
    const on = machine({ lacking: 'Softmax' });
    const { why, events } = await measured(on, 'auto');
    expect(events[0]?.proof?.elsewhere).toEqual(['Softmax']);
    expect(why).toContain('Of its operators the CPU runs Softmax, which webgpu does not.');
    // All are models that ONNX Runtime loads, so that each would be told, but those of shapes, which are the CPU's.
    const loads = await Promise.allSettled(
      on.tried.map((bytes) => createSession(bytes, '', { prepack: false, threads: 1 })),
    );
    const refused = loads.flatMap((load) => (load.status === 'rejected' ? [`${load.reason}`] : []));
    for (const reason of refused) expect(reason).toMatch(/Type Error/);
    expect(loads.length - refused.length).toBeGreaterThan(8);
  });

  it('is refused that gives NaN where there is a number', async () => {
    const { events } = await measured(machine({ wrong: off(first, Number.NaN) }), 'auto');
    expect(events).toMatchObject([{ provider: 'cpu', proof: { difference: Number.POSITIVE_INFINITY } }]);
  });

  it.each([
    ['lost', said.lost, 'The graphics card was lost (webgpu) at block 2'],
    ['short of memory', said.memory, 'memory was not enough for webgpu at block 2'],
    ['without half precision', said.half, 'shader-f16) at block 2'],
    ['in other trouble', 'Status Message: no kernel', 'webgpu failed at block 2'],
  ])('that is %s in mid-run gives way to the CPU', async (_, message, sentence) => {
    const on = machine({ wrong: failsAt(second, message) });
    const { losses, events, why } = await measured(on, 'webgpu');
    expect(losses).toEqual((await onCpu).losses);
    expect(why).toContain(sentence);
    expect(events.map(({ provider }) => provider)).toEqual(['webgpu', 'cpu']);
  });

  it('that was lost is not there for later runs', async () => {
    const on = machine({ wrong: failsAt(second, said.lost) });
    await measured(on, 'auto');
    expect(await on.providers.choose('auto')).toMatchObject({ provider: 'cpu', why: expect.stringContaining('lost') });
  });

  it('that cannot hold kept stages computes them one by one', async () => {
    const most = 1;
    const on = machine({
      make() {
        if (on.alive.size >= most) throw new Error(said.buffer);
      },
    });
    const { losses, events } = await measured(on, 'auto', ample);
    for (const [i, loss] of (await onCpu).losses.entries()) expect(losses[i]).toBeCloseTo(loss, 4);
    expect(events.map(({ provider }) => provider)).toEqual(['webgpu']);
  });

  it('for whose buffers the unembedding is too large leaves that alone to the CPU', async () => {
    const on = machine({ wrong: failsAt(unembedding?.logits ?? '', said.buffer) });
    const { losses, events, why } = await measured(on, 'auto', ample);
    for (const [i, loss] of (await onCpu).losses.entries()) expect(losses[i]).toBeCloseTo(loss, 4);
    expect(why).toContain('at the output head, so the CPU computed that (');
    expect(events.at(-1)).toMatchObject({ provider: 'webgpu' });
  });
});

describe('in the engine’s process', () => {
  const engine = startEngine();
  const asked = request(model, { ids: [1, 2, 3] });

  it('a card that is not there is a sentence, the process lives, and the CPU still runs', async () => {
    const built = new Set(providersOfBuild().map(({ name }) => name));
    const absent = devices.find((one) => one !== 'auto' && !built.has(one));
    engine.device = absent ?? 'coreml';
    expect(failure(await collect(engine.analyze(asked)))).toMatchObject({ code: 'input' });
    const { pid } = engine;
    engine.device = 'webgpu';
    const tried = await collect(engine.analyze(asked));
    // A machine with a card has it.
    const taken = only(tried, 'device').some(({ provider }) => provider === 'webgpu');
    if (!taken) expect(failure(tried)?.message).toMatch(/^The device webgpu cannot be used: .*Here (is|are) cpu/);
    engine.device = 'cpu';
    const plain = await collect(engine.analyze(asked));
    expect(only(plain, 'device')).toEqual([]);
    engine.device = 'auto';
    const auto = await collect(engine.analyze(asked));
    expect(only(auto, 'device').length).toBeGreaterThan(0);
    expect(auto.map(({ type }) => type).slice(0, 2)).toEqual(['started', taken ? 'tokens' : 'device']);
    expect(only(auto, 'finished')).toHaveLength(1);
    expect(engine.pid).toBe(pid);
  });

  it('what is the CPU’s alone says so where a card was asked for', async () => {
    engine.device = 'auto';
    const precision = { model, ids: [1, 2, 3], outlier: 6, memory: 2 ** 30, threads: 1 };
    for await (const event of engine.run('precision', precision)) expect(event.type).not.toBe('failed');
    expect(engine.computedOn.join(' ')).toContain('Computed by the CPU: ');
  });
});
