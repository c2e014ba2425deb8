/** The experiments' page: what to run, and every run that was not closed, newest first. */
import { css, LitElement, nothing } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { markdownOf } from '../../src/analysis/markdown.js';
import { settingsLine } from '../../src/analysis/presentation.js';
import type { Selection } from '../../src/analysis/selection.js';
import type { ExperimentAction, ExperimentRun, FromWebview, ModelChoice } from '../../src/protocol.js';
import type { PictureEvent } from '../figure.js';
import { takePicture } from '../picture.js';
import { quietButtonStyles } from '../styles.js';
import type { Theme } from '../theme.js';
import './form.js';
import type { ActionEvent } from './form.js';
import './presentation.js';
import { html } from '../html.js';
import { verb } from '../icon.js';
import type { ExperimentsState } from './state.js';

@customElement('sinkscope-experiments')
export class ExperimentsPage extends LitElement {
  static override styles = [
    quietButtonStyles,
    css`
      :host {
        display: block;
      }
      article {
        margin-top: 20px;
        padding-top: 10px;
        border-top: 1px solid var(--rule);
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 4px 12px;
        margin-bottom: 6px;
      }
      h2 {
        margin: 0;
        font-size: 1.15em;
        font-weight: 600;
      }
      .status {
        flex: 1;
        color: var(--muted);
        font-variant-numeric: tabular-nums;
      }
      .actions {
        margin-left: auto;
        white-space: nowrap;
      }
      .progress {
        height: 2px;
        margin-bottom: 8px;
        background: var(--rule);
      }
      .progress div {
        height: 100%;
        background: var(--vscode-progressBar-background);
        transform-origin: left;
      }
      .problem {
        margin: 0;
        padding: 6px 10px;
        border-left: 3px solid var(--vscode-errorForeground);
        background: var(--vscode-textBlockQuote-background, transparent);
      }
      .empty {
        margin-top: 20px;
        color: var(--muted);
      }
    `,
  ];

  @property({ attribute: false }) shown!: ExperimentsState;
  @property({ attribute: false }) models: readonly ModelChoice[] = [];
  /** Tokens that the chosen model takes at once, where that is known. */
  @property({ attribute: false }) context: number | undefined;
  @property({ attribute: false }) theme!: Theme;
  @property({ attribute: false }) selection: Selection = {};

  /** Nothing can be run, closed or asked for. */
  @property({ type: Boolean }) report = false;

  /** Runs whose results were folded away. */
  @state() private folded: ReadonlySet<number> = new Set();

  override render() {
    const { runs } = this.shown;
    return html`
      ${this.report ? nothing : this.#form()}
      ${runs.length === 0 ? html`<p class="empty">Nothing was run yet. Results stay here until they are closed.</p>` : nothing}
      ${runs.map((run) => this.#run(run))}
    `;
  }

  #form() {
    const { runs } = this.shown;
    return html`<sinkscope-experiment-form
        .choices=${this.shown}
        .models=${this.models}
        .context=${this.context}
        .selection=${this.selection}
        .latest=${runs[0]?.experiment}
        ?running=${runs.some(({ status }) => status === 'running')}
        @experiment-action=${({ detail }: ActionEvent) => this.#act(detail)}
      ></sinkscope-experiment-form>`;
  }

  #saves({ experiment }: ExperimentRun): string | undefined {
    return this.shown.experiments.find(({ id }) => id === experiment)?.saves;
  }

  #run(run: ExperimentRun) {
    const { number, title, status, presentation, problem, progress } = run;
    const folded = this.folded.has(number);
    return html`<article aria-label=${title} data-testid="experiment-run" data-status=${status}>
      <header>
        <h2>${title}</h2>
        <span class="status" role="status">${statusOf(run)}</span>
        <div class="actions">
          ${
            presentation
              ? [
                  verb(
                    {
                      icon: folded ? 'chevronRight' : 'chevronDown',
                      name: `${folded ? 'Show' : 'Hide'} ${title}`,
                      testId: 'fold',
                      expanded: !folded,
                    },
                    () => this.#fold(number),
                  ),
                  verb(
                    {
                      icon: 'copy',
                      name: `Copy ${title} as Markdown`,
                      title: 'Copy sentence, conditions and tables as Markdown',
                    },
                    () => this.#send({ type: 'copy', text: markdownOf(presentation) }),
                  ),
                  this.report
                    ? nothing
                    : verb({ icon: 'json', name: `Save ${title} as JSON`, title: 'Save all numbers as JSON' }, () =>
                        this.#act({ do: 'save-json', run: number }),
                      ),
                ]
              : nothing
          }
          ${
            run.hasFile && !this.report
              ? verb(
                  {
                    icon: 'save',
                    name: `Save the file of ${title}`,
                    title: this.#saves(run),
                    testId: 'save-file',
                  },
                  () => this.#act({ do: 'save-file', run: number }),
                )
              : nothing
          }
          ${
            this.report
              ? nothing
              : verb({ icon: 'close', name: `Close ${title}`, title: 'Close' }, () =>
                  this.#act({ do: 'close', run: number }),
                )
          }
        </div>
      </header>
      ${status === 'running' ? html`<div class="progress"><div .style=${`transform: scaleX(${share(progress)})`}></div></div>` : nothing}
      ${status === 'failed' && problem?.code !== 'cancelled' ? html`<p class="problem" role="alert">${problem?.message}</p>` : nothing}
      ${
        presentation && !folded
          ? html`<sinkscope-presentation
              name="${run.experiment}-${number}"
              .presentation=${presentation}
              .theme=${this.theme}
              .selection=${this.selection}
              @picture=${(event: PictureEvent) => this.#picture(event, run)}
            ></sinkscope-presentation>`
          : nothing
      }
    </article>`;
  }

  #fold(number: number): void {
    const { folded } = this;
    this.folded = new Set(folded.has(number) ? [...folded].filter((one) => one !== number) : [...folded, number]);
  }

  async #picture(event: PictureEvent, { title, presentation }: ExperimentRun): Promise<void> {
    event.stopPropagation();
    const wanted = { ...event.detail, title: `${title}: ${event.detail.title}` };
    await takePicture(wanted, settingsLine(presentation?.settings ?? []), (message) => this.#send(message));
  }

  #act(action: ExperimentAction): void {
    this.#send({ type: 'experiment', action });
  }

  #send(message: FromWebview): void {
    this.dispatchEvent(new CustomEvent('send', { detail: message, bubbles: true, composed: true }));
  }
}

function statusOf({ status, progress, problem }: ExperimentRun): string {
  if (status === 'running') return progress?.text ?? 'reading the model …';
  if (status === 'finished') return '';
  if (problem?.code !== 'cancelled') return '';
  return progress ? `stopped at ${progress.text}` : 'stopped';
}

const share = (progress: ExperimentRun['progress']) => (progress && progress.of > 0 ? progress.done / progress.of : 0);
