/** The tokens in order, tinted by how far they stand out at the shown layer, massive ones and sinks marked. */
import { css, nothing, type PropertyValues, unsafeCSS } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { formatNumber, formatRatio, formatShare, formatValue } from '../../src/analysis/format.js';
import { layerName, textLabel } from '../../src/analysis/label.js';
import {
  type AskedTint,
  askedLevel,
  askedTints,
  isAsked,
  levelFrom,
  saliencyFrom,
  saliencyShares,
  surprisalFrom,
  tintChoices,
  tintEdge,
  tintLevel,
  tintLevels,
  tokenMultiples,
} from '../../src/analysis/tint.js';
import type { PredictionsEvent } from '../../src/engine/contract/events.js';
import { toProblem } from '../../src/errors.js';
import { kindsOf } from '../findings.js';
import { html } from '../html.js';
import { keyStyles, markStyles, quietButtonStyles } from '../styles.js';
import { describeToken, roleInWords, surpriseLines, tokenFacts } from '../token.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';

/** Tokens in the page at once: more would slow every selection down. */
const pageLength = 1024;

const levels = Array.from({ length: tintLevels }, (_, index) => index + 1);

/** Where contrast is high, a line below grows with the level too: backgrounds alone are hard to tell from black. */
const tintStyles = ['tint', ...askedTints]
  .flatMap((name) =>
    levels.map(
      (level) =>
        `.${name}${level} {
         background: var(--vscode-sinkscope-${name}${level});
         box-shadow: inset 0 -${tintEdge(level)}px var(--vscode-sinkscope-tintEdge, transparent);
       }
       /* In the key, whose lines are low, beneath the number: within it, it would cut off the digits' feet. */
       .swatch.${name}${level} {
         box-shadow: 0 ${tintEdge(level)}px var(--vscode-sinkscope-tintEdge, transparent);
       }`,
    ),
  )
  .join('\n');

/** A number for each token, or why there are none. */
interface AskedTokens {
  /** What it is of: a run, and what was chosen in it. */
  readonly key: string;
  readonly values?: Float32Array;
  /** The number of a token, in words: lines. */
  readonly said?: (token: number) => readonly string[];
  /** The prediction that it is about. */
  readonly of?: string;
  readonly remarks?: readonly string[];
  readonly why?: string;
}

@customElement('sinkscope-token-strip')
export class TokenStrip extends View {
  static override styles = [
    quietButtonStyles,
    keyStyles,
    tooltipStyles,
    css`
      .key > * {
        display: inline-flex;
        flex-wrap: wrap;
        align-items: baseline;
        gap: 4px;
      }
      .swatch {
        padding: 0 4px;
        border-radius: 3px;
        color: var(--vscode-foreground);
        white-space: nowrap;
      }
      .tokens {
        max-height: 12em;
        overflow: auto;
        font-family: var(--vscode-editor-font-family, monospace);
        line-height: 1.7;
      }
      .tokens:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      .token {
        display: inline-block;
        margin: 0 1px;
        padding: 0 2px;
        border: 1px solid transparent;
        border-radius: 3px;
        line-height: 1.4;
        max-width: 100%;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
        cursor: pointer;
      }
      .named .token { margin-inline: 6px; } /* Names have blanks of their own: patches, nodes. */
      .role {
        margin: 0 2px 0 6px;
        padding: 0 4px;
        border-left: 3px solid var(--muted);
        font: 0.85em var(--vscode-font-family, sans-serif);
        color: var(--muted);
        user-select: none;
      }
      .template {
        color: var(--muted);
      }
      .token small {
        font-size: 0.75em;
        color: var(--muted);
      }
      .token:hover {
        border-color: var(--vscode-foreground);
      }
      .token[aria-selected='true'] {
        outline: 2px solid var(--vscode-focusBorder);
      }
      .tokens:focus-visible .active {
        outline: 2px dashed var(--vscode-foreground);
      }
      ${unsafeCSS(tintStyles)}
    `,
    markStyles,
  ];

  @state() private active = 0;
  @state() private page = 0;

  @query('.tooltip') private tooltip!: HTMLElement;

  /** Of each token the multiple that it is tinted by, at a layer or over all. */
  #multiples: readonly number[] = [];
  #layer: number | undefined;
  /** What tokens are tinted by that is no magnitude, or why there is none; asked for when it is to be seen. */
  @state() private asked: AskedTokens | undefined;
  /** What had been expected in the place of tokens of this run; undefined while it is asked for. */
  readonly #expected = new Map<number, PredictionsEvent | undefined>();
  /** The token that the tooltip is about. */
  #told: number | undefined;
  /** The selection that the active token has followed. */
  #selected: number | undefined;
  /** The token that was last scrolled to. */
  #revealed = 0;

  override willUpdate(changed: PropertyValues<this>): void {
    const { token, layer } = this.scene.selection;
    // Over all layers, which moving from token to token does not change.
    if (layer !== this.#layer || this.differs(changed, 'analysis')) {
      this.#layer = layer;
      this.#multiples = tokenMultiples(this.scene.analysis, layer);
    }
    if (this.differs(changed, 'run')) this.#expected.clear();
    this.#ask();
    if (token === undefined || token === this.#selected) return;
    this.#selected = token;
    this.active = token;
    this.page = Math.floor(token / pageLength);
  }

  #ask(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.asked?.key === wanted.key) return;
    const { key, values } = wanted;
    this.asked = { key };
    // Another one may be wanted meanwhile.
    const take = (found: Omit<AskedTokens, 'key'>) => {
      if (this.asked?.key === key) this.asked = { key, ...found };
    };
    values().then(take, (error) => take({ why: toProblem(error).message }));
  }

  /** What has to be asked for now, if anything has. */
  get #wanted(): { readonly key: string; readonly values: () => Promise<Omit<AskedTokens, 'key'>> } | undefined {
    const { tint, run, analysis, ask, selection, findings } = this.scene;
    if (!isAsked(tint) || analysis.status !== 'finished') return undefined;
    if (tint === 'surprisal') {
      const values = async () => {
        const { nats } = await ask({ type: 'surprisal' });
        return { values: nats, said: (token: number) => surpriseLines(nats[token], this.#expected.get(token)) };
      };
      return { key: `${run}`, values };
    }
    const { token = findings.tokens - 1, next } = selection;
    const values = async () => {
      const found = await ask({ type: 'saliency', token, next });
      return {
        values: saliencyShares(found.saliency),
        said: (one: number) => [`gradient × input ${formatValue(found.saliency[one] ?? Number.NaN)}`],
        of: `${textLabel(found.next.text, found.next.id)} after token ${token}`,
        remarks: found.remarks,
      };
    };
    return { key: `${run} ${token} ${next}`, values };
  }

  /** What a token is tinted by, where that was asked for. */
  #value(token: number): number | undefined {
    return this.asked?.key === this.#wanted?.key ? this.asked?.values?.[token] : undefined;
  }

  override render() {
    const { labels } = this.scene.findings;
    const pages = Math.ceil(labels.length / pageLength);
    const page = Math.min(this.page, Math.max(0, pages - 1));
    const from = page * pageLength;
    const kinds = kindsOf(this.scene.findings);
    const sinks = new Map(this.scene.findings.sinks.sinks.map((sink) => [sink.token, sink]));
    const { thresholds, tint } = this.scene;
    const multiples = this.#multiples;
    const roles = this.scene.analysis.tokens?.tokens;
    return html`
      <div
        class="tokens ${this.scene.analysis.tokens?.tokenizer === false ? 'named' : ''}"
        role="listbox"
        tabindex="0"
        aria-label="Tokens"
        aria-orientation="horizontal"
        aria-activedescendant="token${this.active}"
        @keydown=${this.#onKey}
        @focus=${() => this.#show(this.active)}
        @blur=${this.#hide}
        @click=${(event: MouseEvent) => {
          const token = tokenUnder(event);
          if (token !== undefined) this.select({ token });
        }}
        @pointerover=${(event: PointerEvent) => {
          const token = tokenUnder(event);
          if (token === undefined) this.#hide();
          else this.#show(token);
        }}
        @pointerleave=${this.#hide}
      >${labels.slice(from, from + pageLength).map((label, index) => {
        const token = from + index;
        const kind = kinds.get(token);
        const sink = sinks.get(token);
        const tinted = isAsked(tint)
          ? `${tint}${askedLevel(tint, this.#value(token))}`
          : `tint${tintLevel(multiples[token] ?? 0, tint, thresholds)}`;
        const role = roles?.[token]?.role;
        const begins = role !== undefined && role !== 'template' && (index === 0 || role !== roles?.[token - 1]?.role);
        return html`${begins ? html`<span class="role" aria-hidden="true">${roleInWords[role]}</span>` : nothing}<span
          id="token${token}"
          class="token ${role ?? ''} ${tinted} ${kind ?? ''} ${sink ? 'sink' : ''} ${token === this.active ? 'active' : ''}"
          role="option"
          data-token=${token}
          aria-selected=${this.scene.selection.token === token}
          aria-label=${tokenFacts(this.scene.findings, token, kind, role)}
        >${kind === 'massive' ? html`<b class="of-massive">▲</b>` : nothing}${
          kind === 'large' ? html`<b class="of-large">△</b>` : nothing
        }${sink ? html`<b class="of-sink">⚓︎</b>` : nothing}${shown(label)}</span>`;
      })}</div>
      ${pages > 1 ? this.#pager(page, pages) : nothing} ${this.#key()}
      <div class="tooltip" hidden></div>
    `;
  }

  /** What backgrounds and signs mean, here and in the editor, and which tokens have a background. */
  #key() {
    const { tint } = this.scene;
    return html`<div class="key">
      <span role="group" aria-label="Which tokens are tinted">
        tint:
        ${tintChoices.map(
          (choice) => html`<button
            class="quiet"
            aria-pressed=${choice === tint}
            data-testid="tint-${choice}"
            @click=${() => this.send({ type: 'choose-tint', tint: choice })}
          >${choice}</button>`,
        )}
      </span>
      ${tint === 'off' ? nothing : isAsked(tint) ? this.#askedKey(tint) : this.#magnitudeKey()}
      <span><b class="of-massive">▲</b> massive <b class="of-large">△</b> large <b class="of-sink">⚓︎</b> sink</span>
    </div>`;
  }

  #askedKey(tint: AskedTint) {
    const asked = this.asked?.key === this.#wanted?.key ? this.asked : undefined;
    if (asked?.why !== undefined) return html`<span>${asked.why}</span>`;
    const words =
      tint === 'surprisal'
        ? '−ln p of the token, in nats, from'
        : `gradient × input of the logit of ${asked?.of ?? '…'}, either sign, share of the largest from`;
    const from = (level: number) =>
      tint === 'surprisal' ? formatNumber(surprisalFrom(level)) : formatShare(saliencyFrom(level));
    return html`<span
        >${words} ${levels.map((level) => html`<span class=${`swatch ${tint}${level}`}>${from(level)}</span>`)}</span
      >${(asked?.remarks ?? []).map((words) => html`<span>${words}</span>`)}`;
  }

  #magnitudeKey() {
    const { selection, thresholds, tint } = this.scene;
    const { soft } = thresholds;
    const least = tint === 'large' ? soft : levelFrom(1);
    const shown = levels.filter((level) => level === tintLevels || levelFrom(level + 1) > least);
    const where = selection.layer === undefined ? 'largest of all layers' : `layer ${layerName(selection.layer)}`;
    return html`<span
      >|h| ÷ median, ${where}, from
      ${shown.map(
        (level) => html`<span class="swatch tint${level}">${formatRatio(Math.max(least, levelFrom(level)))}</span>`,
      )}</span
    >`;
  }

  override updated(): void {
    if (this.active === this.#revealed) return;
    this.#revealed = this.active;
    const list = this.renderRoot.querySelector('.tokens');
    const token = this.renderRoot.querySelector(`#token${this.active}`);
    if (list === null || token === null) return;
    const [inner, outer] = [token.getBoundingClientRect(), list.getBoundingClientRect()];
    if (inner.top < outer.top) list.scrollTop += inner.top - outer.top;
    if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom;
  }

  #show(token: number): void {
    const element = this.renderRoot.querySelector(`#token${token}`);
    const value = this.#value(token);
    const asked = value === undefined || Number.isNaN(value) ? undefined : this.asked?.said?.(token);
    const lines = describeToken(this.scene, token)?.concat(asked ?? []);
    this.#told = token;
    if (asked !== undefined && this.scene.tint === 'surprisal') this.#askExpected(token);
    if (element !== null && lines !== undefined) showTooltip(this.tooltip, element.getBoundingClientRect(), lines);
  }

  /** What had been expected in a token's place is what would come after the one before it. */
  #askExpected(token: number): void {
    const { run, ask } = this.scene;
    if (this.#expected.has(token)) return;
    this.#expected.set(token, undefined);
    ask({ type: 'predictions', token: token - 1 }).then(
      (expected) => {
        if (this.scene.run !== run) return;
        this.#expected.set(token, expected);
        if (this.#told === token) this.#show(token);
      },
      // That nothing can be said of it is said where all predictions are.
      () => undefined,
    );
  }

  #hide(): void {
    this.#told = undefined;
    this.tooltip.hidden = true;
  }

  #pager(page: number, pages: number) {
    const go = (to: number) => () => {
      this.page = to;
      this.active = to * pageLength;
    };
    const end = Math.min(this.scene.findings.tokens, (page + 1) * pageLength);
    return html`<div>
      <button class="quiet" ?disabled=${page === 0} @click=${go(page - 1)}>Previous</button>
      tokens ${formatNumber(page * pageLength)}–${formatNumber(end - 1)} of ${formatNumber(this.scene.findings.tokens)}
      <button class="quiet" ?disabled=${page === pages - 1} @click=${go(page + 1)}>Next</button>
    </div>`;
  }

  #onKey(event: KeyboardEvent): void {
    const last = this.scene.findings.labels.length - 1;
    const steps: Record<string, number> = {
      ArrowLeft: this.active - 1,
      ArrowUp: this.active - 1,
      ArrowRight: this.active + 1,
      ArrowDown: this.active + 1,
      PageUp: this.active - 10,
      PageDown: this.active + 10,
      Home: 0,
      End: last,
    };
    const wanted = steps[event.key];
    if (wanted !== undefined) {
      this.active = Math.max(0, Math.min(last, wanted));
      this.page = Math.floor(this.active / pageLength);
      void this.updateComplete.then(() => this.#show(this.active));
    } else if (event.key === 'Escape') this.#hide();
    else if (event.key === 'Enter' || event.key === ' ') this.select({ token: this.active });
    else return;
    event.preventDefault();
  }
}

/** A label as it is shown here: fonts seldom have the sign of a carriage return. */
function shown(label: string) {
  const [first = '', ...others] = label.split('␍');
  return html`${first}${others.map((part) => html`<small>\\r</small>${part}`)}`;
}

function tokenUnder(event: Event): number | undefined {
  const token = event.target instanceof Element ? event.target.closest('[data-token]') : null;
  return token instanceof HTMLElement ? Number(token.dataset.token) : undefined;
}
