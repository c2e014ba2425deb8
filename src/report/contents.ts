/** What a report holds: what the panel would be told and, of what it can ask, what was open when the report was made. */
import type { Analysis } from '../analysis/analysis.js';
import { eventsOf } from '../analysis/events.js';
import { baseName } from '../analysis/label.js';
import type { Selection } from '../analysis/selection.js';
import { defaultThresholds, type Thresholds } from '../analysis/thresholds.js';
import type { RunEvent } from '../engine/contract/events.js';
import type { Problem } from '../errors.js';
import type { Asked, ExperimentRun, ToWebview, ViewState } from '../protocol.js';

export interface Answer {
  readonly query: Asked;
  /** The reply's value. */
  readonly value: unknown;
}

export interface Contents {
  readonly messages: readonly ToWebview[];
  readonly answers: readonly Answer[];
}

/** What a report is made of. */
export interface Reported {
  /** Of the document or the text, without the folders of this machine. */
  readonly name?: string | undefined;
  readonly scope?: string | undefined;
  readonly analysis?: Analysis | undefined;
  /** Its number: another one makes answers about the one before void. */
  readonly run?: number | undefined;
  readonly thresholds?: Thresholds | undefined;
  readonly tint?: ViewState['tint'] | undefined;
  readonly selection?: Selection | undefined;
  readonly experiments?: readonly ExperimentRun[] | undefined;
  readonly answers?: readonly Answer[] | undefined;
  /** Name of the tensors that answer in the model's place. */
  readonly tensors?: string | undefined;
  /** Why there is nothing else. */
  readonly trouble?: Problem | undefined;
}

export function contentsOf({
  name,
  scope,
  analysis,
  run = 1,
  thresholds = defaultThresholds,
  tint = 'large',
  selection = {},
  experiments = [],
  answers = [],
  tensors,
  trouble,
}: Reported): Contents {
  const events = analysis ? eventsOf(analysis).map(withoutFolders) : [];
  const view: ViewState = {
    document: name,
    scope,
    models: [],
    model: undefined,
    bos: 'auto',
    tint,
    thresholds,
    stale: undefined,
    trouble,
    live: undefined,
    watched: undefined,
    context: undefined,
    pinned: 'none',
    tensors,
  };
  return {
    messages: [
      { type: 'view', state: view },
      { type: 'experiments', message: { kind: 'runs', runs: experiments } },
      { type: 'replay', run: events.length > 0 ? run : 0, events },
      { type: 'selection', selection },
    ],
    answers,
  };
}

/** A report goes to others, whom it does not tell where files lie on this machine. */
function withoutFolders(event: RunEvent): RunEvent {
  switch (event.type) {
    case 'started':
      return { ...event, model: { ...event.model, file: baseName(event.model.file) } };
    case 'tokens':
      return event.picture ? { ...event, picture: { ...event.picture, file: baseName(event.picture.file) } } : event;
    case 'finished':
      return { ...event, saved: event.saved === undefined ? undefined : baseName(event.saved) };
    default:
      return event;
  }
}
