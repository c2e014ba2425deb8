/** What every view of a run is given, and the one thing it says: where the user wants to look. */
import { LitElement, type PropertyValues, type TemplateResult } from 'lit';
import { property } from 'lit/decorators.js';
import type { Analysis } from '../src/analysis/analysis.js';
import type { Selection } from '../src/analysis/selection.js';
import type { Thresholds } from '../src/analysis/thresholds.js';
import type { Tint } from '../src/analysis/tint.js';
import type { Problem } from '../src/errors.js';
import type { Asked, FromWebview, ReplyTo } from '../src/protocol.js';
import './figure.js';
import type { DrawPicture } from './figure.js';
import type { Findings } from './findings.js';
import { html } from './html.js';
import type { Scale } from './scale.js';
import type { TableData } from './tabled.js';
import type { Theme } from './theme.js';

export interface Scene {
  /** Number of the run; another one makes all earlier answers void. */
  readonly run: number;
  readonly analysis: Analysis;
  readonly findings: Findings;
  readonly thresholds: Thresholds;
  /** Which tokens of a text are tinted. */
  readonly tint: Tint;
  readonly selection: Selection;
  readonly theme: Theme;
  /** Names of the figures whose tables are open. */
  readonly tables: ReadonlySet<string>;
  /** Whether there is something that answers: not in a report or a saved result, which hold little but what was seen. */
  readonly answers: boolean;
  readonly ask: <Q extends Asked>(query: Q) => Promise<ReplyTo<Q['type']>>;
}

export type SelectEvent = CustomEvent<Selection>;

export abstract class View extends LitElement {
  @property({
    attribute: false,
    hasChanged: (scene: Scene, before: Scene | undefined) =>
      before === undefined || Object.entries(scene).some(([name, part]) => before[name as keyof Scene] !== part),
  })
  scene!: Scene;

  /** Whether any of these parts is another than at the last update. */
  protected differs(changed: PropertyValues, ...parts: readonly (keyof Scene)[]): boolean {
    if (!changed.has('scene')) return false;
    const before: Scene | undefined = changed.get('scene');
    return before === undefined || parts.some((part) => before[part] !== this.scene[part]);
  }

  /** Moves the shared selection; parts left out stay. */
  protected select(part: Selection): void {
    this.dispatchEvent(new CustomEvent('select-part', { detail: part, bubbles: true, composed: true }));
  }

  /** Says something to the host. */
  protected send(message: FromWebview): void {
    this.dispatchEvent(new CustomEvent('send', { detail: message, bubbles: true, composed: true }));
  }

  protected figure(options: {
    readonly name: string;
    readonly heading: string;
    readonly note: string;
    readonly body: TemplateResult;
    readonly actions?: TemplateResult | undefined;
    readonly table?: () => TableData;
    /** The table that is seen already, to be saved. */
    readonly rows?: () => TableData;
    readonly picture?: DrawPicture;
    /** What the picture's colours stand for. */
    readonly scale?: Scale | undefined;
  }): TemplateResult {
    return html`<sinkscope-figure
      name=${options.name}
      heading=${options.heading}
      note=${options.note}
      .table=${options.table}
      .rows=${options.rows}
      .picture=${options.picture && withScale(options.picture, options.scale)}
      ?open=${this.scene.tables.has(options.name)}
      ><span slot="actions">${options.actions}</span>${options.body}</sinkscope-figure
    >`;
  }
}

/** Whether something went wrong; else what was asked for is not to be had here, which is told calmly. */
export const isFailure = ({ code }: Problem): boolean => code !== 'input';

const withScale =
  (draw: DrawPicture, scale: Scale | undefined): DrawPicture =>
  async (theme) => ({ ...(await draw(theme)), scale });
