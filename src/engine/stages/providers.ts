/** Which of ONNX Runtime's execution providers there are on this machine, and which is taken of them. */

import { SinkscopeError } from '../../errors.js';
import { encodeModel } from '../../onnx/encode.js';
import { DataType } from '../../onnx/model.js';
import { type Device, type Provider, providers } from '../contract/device.js';
import { reasonOf } from './reason.js';
import { createSession, providersOfBuild } from './session.js';

/** What a decision needs of the machine; tests have others. */
export interface Machine {
  readonly create: typeof createSession;
  readonly build: typeof providersOfBuild;
  /** Whether the system finds a shared library of that name. */
  readonly loads: (library: string) => boolean;
  /** As `process.platform`, and the processor's kind. */
  readonly system: string;
}

const here: Machine = {
  create: createSession,
  build: providersOfBuild,
  loads,
  system: `${process.platform} ${process.arch}`,
};

/** Those of graphics cards, in the order in which `auto` looks for one. */
const ofCards = providers.filter((provider) => provider !== 'cpu');

/** What a device was asked for comes to. */
export interface ProviderChoice {
  readonly provider: Provider;
  /** Those to try in its place where its numbers are not the CPU's, in order. */
  readonly others?: readonly Provider[];
  /** Why it is the CPU, where something else would have been taken. */
  readonly why?: string;
}

/** What a process knows of providers. What was found missing or was lost stays so until the process ends. */
export class Providers {
  private readonly missing = new Map<Provider, Promise<string | undefined>>();

  constructor(readonly machine: Machine = here) {}

  /**
   * The provider that is meant.
   *
   * @throws SinkscopeError `input` where one is named that is not there, with those that are
   */
  async choose(asked: Device): Promise<ProviderChoice> {
    if (asked === 'cpu') return { provider: 'cpu' };
    if (asked !== 'auto') {
      const absence = await this.absence(asked);
      if (absence === undefined) return { provider: asked };
      const there = ['cpu', ...(await this.there()).filter((provider) => provider !== asked)];
      throw new SinkscopeError({
        code: 'input',
        message: `The device ${asked} cannot be used: ${absence}. Here ${there.length === 1 ? 'is' : 'are'} ${there.join(' and ')}; choose ${there.length === 1 ? 'it' : 'one of them'}, or auto.`,
      });
    }
    const [provider, ...others] = await this.there();
    if (provider) return { provider, others };
    const bundled = this.bundled();
    const tried = await Promise.all(
      bundled.map(async (one) => `${bundled.length > 1 ? `${one}: ` : ''}${await this.absence(one)}`),
    );
    const why = tried.join('; ') || 'this build of ONNX Runtime has the CPU alone';
    return { provider: 'cpu', why: `No graphics card is used: ${why}.` };
  }

  /** From now on a provider is not there. */
  lose(provider: Provider, why: string): void {
    this.missing.set(provider, Promise.resolve(why));
  }

  /** Those of cards that come with this build and work. */
  private async there(): Promise<Provider[]> {
    const absences = await Promise.all(this.bundled().map((provider) => this.absence(provider)));
    return this.bundled().filter((_, i) => absences[i] === undefined);
  }

  /** One whose libraries would have to be downloaded is tried where it is named alone: ONNX Runtime complains aloud. */
  private bundled(): Provider[] {
    const build = this.machine.build();
    return ofCards.filter((provider) => build.some(({ name, bundled }) => bundled && name === provider));
  }

  /** Why a provider is not there, in words; undefined where it is. */
  private absence(provider: Provider): Promise<string | undefined> {
    const known = this.missing.get(provider) ?? this.tryOut(provider);
    this.missing.set(provider, known);
    return known;
  }

  private async tryOut(provider: Provider): Promise<string | undefined> {
    const { create, build, system } = this.machine;
    if (!build().some(({ name }) => name === provider))
      return `this build of ONNX Runtime (${system}) has no ${provider}`;
    try {
      const session = await create(doubling, '', { prepack: false, threads: 1, provider });
      try {
        const { y } = Object.fromEntries(
          await session.run(new Map([['x', { type: DataType.float, dims: [1], data: Float32Array.of(3) }]])),
        );
        return Number(y?.data[0]) === 6 ? undefined : 'it does not even add 3 and 3';
      } finally {
        await session.release();
      }
    } catch (error) {
      return this.inWords(provider, error instanceof Error ? error.message : String(error));
    }
  }

  private inWords(provider: Provider, message: string): string {
    const { loads, system } = this.machine;
    const isLinux = system.startsWith('linux');
    if (provider === 'webgpu' && isLinux && !loads('libvulkan.so.1'))
      return 'the Vulkan loader is not installed (libvulkan.so.1; the package libvulkan1 of Debian and Ubuntu, vulkan-loader of Fedora)';
    if (provider === 'webgpu' && /No supported adapters/i.test(message)) {
      const driver =
        'its driver has to be installed with its Vulkan part, whose .json file VK_DRIVER_FILES can name where it does not lie in /usr/share/vulkan/icd.d';
      return `no graphics card was found that WebGPU takes${isLinux ? ` (${driver})` : ''}`;
    }
    if (provider === 'cuda' && /load (shared )?library/i.test(message))
      return 'its libraries are not there; they do not come with Sinkscope';
    return reasonOf(message);
  }
}

/** y = x + x, the smallest model that has to be computed. */
const doubling = encodeModel(
  {
    irVersion: 8,
    opsets: new Map([['', 13]]),
    graph: {
      name: 'doubling',
      nodes: [{ name: 'add', op: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: new Map() }],
      inputs: [{ name: 'x', type: DataType.float, shape: [1] }],
      outputs: [{ name: 'y', type: DataType.float, shape: [1] }],
      initializers: new Map(),
      valueInfo: new Map(),
    },
  },
  '',
);

/** A library that loads and is no addon of Node.js says so; one that is not there says that. */
function loads(library: string): boolean {
  try {
    process.dlopen({ exports: {} }, library);
    return true;
  } catch (error) {
    return !/cannot open shared object file/.test(String(error));
  }
}
