/** What the model expects after a token: the last one as it came, any other asked for. */
import { css, type PropertyValues } from 'lit';
import { customElement, state } from 'lit/decorators.js';
import { textLabel } from '../../src/analysis/label.js';
import type { PredictionsEvent } from '../../src/engine/contract/events.js';
import { type Problem, SinkscopeError, toProblem } from '../../src/errors.js';
import { greatest } from '../../src/statistics/numbers.js';
import { html } from '../html.js';
import { formatPercent } from '../numbers.js';
import type { DrawnPicture } from '../picture.js';
import { quietButtonStyles } from '../styles.js';
import { svgRect, svgText, textWidth } from '../svg.js';
import type { TableData } from '../tabled.js';
import type { Theme } from '../theme.js';
import { isFailure, View } from '../view.js';

/** Tokens that have room. */
const shownTokens = 8;

@customElement('sinkscope-predictions')
export class Predictions extends View {
  static override styles = [
    quietButtonStyles,
    css`
    ol {
      display: grid;
      grid-template-columns: max-content 1fr max-content;
      gap: 2px 10px;
      align-items: center;
      margin: 0;
      padding: 0;
      list-style: none;
      font-variant-numeric: tabular-nums;
    }
    li {
      display: contents;
    }
    .token {
      font-family: var(--vscode-editor-font-family, monospace);
      text-align: left;
      white-space: pre;
    }
    .bar {
      height: 10px;
      background: var(--bar);
      border: 1px solid var(--vscode-contrastBorder, transparent);
    }
    p {
      margin: 4px 0;
      color: var(--muted);
    }
    .problem {
      color: var(--vscode-errorForeground);
    }
  `,
  ];

  /** Answers of this run by token, or why there is none. */
  @state() private known: ReadonlyMap<number, PredictionsEvent | Problem> = new Map();

  #asking = false;
  /** What is shown until what is wanted has come, if it is of this run. */
  #before: PredictionsEvent | undefined;

  override willUpdate(changed: PropertyValues<this>): void {
    if (this.differs(changed, 'run')) {
      this.known = new Map();
      this.#before = undefined;
    }
    void this.#ask();
  }

  override render() {
    const token = this.#token();
    if (token === undefined) {
      const running = this.scene.analysis.status === 'running';
      return this.#framed('', html`<p>${running ? 'They come last.' : 'This model gives none.'}</p>`);
    }
    const shown = this.#shown(token);
    const after = this.#after(token);
    if (shown === undefined) {
      if (this.scene.analysis.status !== 'finished')
        return this.#framed(after, html`<p>They can be shown when the run has finished.</p>`);
      if (this.#before === undefined) return this.#framed(after, html`<p>Computing …</p>`);
      return this.#list(this.#before, `${this.#after(this.#before.token)} · computing: ${after} …`);
    }
    if ('code' in shown)
      return this.#framed(after, html`<p class=${isFailure(shown) ? 'problem' : ''}>${shown.message}</p>`);
    this.#before = shown;
    return this.#list(shown, after);
  }

  #after(token: number): string {
    return `after ${this.scene.findings.labels[token] ?? ''} (token ${token})`;
  }

  #list(shown: PredictionsEvent, note: string) {
    const { token } = shown;
    const most = greatest(shown.top.map(({ probability }) => probability));
    return this.#framed(
      note,
      html`<ol>
        ${shown.top.slice(0, shownTokens).map(
          ({ id, text, probability }) => html`<li>
            <button
              class="token quiet"
              data-testid="next-${id}"
              aria-pressed=${this.#token() === token && this.scene.selection.next === id}
              title="Choose this prediction: the tint of saliency shows what it depends on"
              @click=${() => this.select({ token, next: id })}
            >${textLabel(text, id)}</button>
            <span><div class="bar" .style=${`width: ${(100 * probability) / most}%`}></div></span>
            <span>${formatPercent(probability)}</span>
          </li>`,
        )}
      </ol>`,
      shown,
    );
  }

  #framed(note: string, body: ReturnType<typeof html>, shown?: PredictionsEvent) {
    const saved = shown && { rows: () => tableOf(shown), picture: (theme: Theme) => barsOf(shown, theme) };
    return this.figure({ name: 'predictions', heading: 'Next token', note, body, ...saved });
  }

  #token(): number | undefined {
    const { predictions } = this.scene.analysis;
    return predictions && (this.scene.selection.token ?? predictions.token);
  }

  #shown(token: number): PredictionsEvent | Problem | undefined {
    const { predictions } = this.scene.analysis;
    return predictions?.token === token ? predictions : this.known.get(token);
  }

  /** One question at a time: of what is passed over quickly only the last is asked for. */
  async #ask(): Promise<void> {
    const [token, { run, analysis, ask }] = [this.#token(), this.scene];
    const isSettled = token === undefined || this.#shown(token) !== undefined;
    if (isSettled || this.#asking || analysis.status !== 'finished') return;
    this.#asking = true;
    let answer: PredictionsEvent | Problem | undefined;
    try {
      answer = await ask({ type: 'predictions', token });
    } catch (error) {
      answer = SinkscopeError.is(error, 'cancelled') ? undefined : toProblem(error);
    }
    this.#asking = false;
    if (answer !== undefined && run === this.scene.run) this.known = new Map(this.known).set(token, answer);
    else this.requestUpdate();
  }
}

function tableOf({ top }: PredictionsEvent): TableData {
  return {
    caption: 'The most likely next tokens',
    columns: [{ name: 'token' }, { name: 'id', format: 'plain' }, { name: 'probability', format: 'share' }],
    rows: top.length,
    cells: (row) => {
      const one = top[row];
      return one ? [textLabel(one.text, one.id), one.id, one.probability] : [];
    },
  };
}

function barsOf({ top }: PredictionsEvent, theme: Theme): DrawnPicture {
  const shown = top.slice(0, shownTokens);
  const labels = shown.map(({ text, id }) => textLabel(text, id));
  const left =
    greatest(
      labels.map((label) => textWidth(label)),
      0,
    ) + 10;
  const most = greatest(shown.map(({ probability }) => probability));
  const [room, tall] = [360, 20];
  const rows = shown.map(({ probability }, row) => {
    const wide = (room * probability) / most;
    const style = { fill: theme.foreground };
    return [
      svgText(left - 8, row * tall + 14, labels[row] ?? '', { ...style, anchor: 'end' }),
      svgRect(left, row * tall + 4, wide, tall - 8, theme.series[0]),
      svgText(left + wide + 6, row * tall + 14, formatPercent(probability), style),
    ].join('');
  });
  return { svg: rows.join(''), width: left + room + 60, height: shown.length * tall };
}
