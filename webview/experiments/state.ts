/** What a webview knows of the experiments: each message of the host is whole and replaces what was there. */
import type { ExperimentRun, ExperimentsMessage } from '../../src/protocol.js';

export type Choices = Extract<ExperimentsMessage, { kind: 'choices' }>;

export interface ExperimentsState extends Pick<Choices, 'experiments' | 'texts'> {
  /** Newest first. */
  readonly runs: readonly ExperimentRun[];
}

export const noExperiments: ExperimentsState = { experiments: [], texts: { documents: {}, chosen: {} }, runs: [] };

export function takeExperiments(state: ExperimentsState, message: ExperimentsMessage): ExperimentsState {
  switch (message.kind) {
    case 'choices':
      return { ...state, experiments: message.experiments, texts: message.texts };
    case 'runs':
      return { ...state, runs: message.runs };
    case 'run': {
      const { run } = message;
      const known = state.runs.some(({ number }) => number === run.number);
      const runs = known ? state.runs.map((one) => (one.number === run.number ? run : one)) : [run, ...state.runs];
      return { ...state, runs };
    }
  }
}
