/** The tokens in order, tinted by how far they stand out at the shown layer, massive ones and sinks marked. */
import { nothing, type PropertyValues } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { guard } from 'lit/directives/guard.js';
import { formatNumber, formatRatio, formatShare, formatValue } from '../../src/analysis/format.js';
import { layerName, textLabel } from '../../src/analysis/label.js';
import {
  type AskedTint,
  askedLevel,
  isAsked,
  levelFrom,
  saliencyFrom,
  saliencyShares,
  surprisalFrom,
  tintChoices,
  tintLevel,
  tintLevels,
  tokenMultiples,
} from '../../src/analysis/tint.js';
import type { PredictionsEvent } from '../../src/engine/contract/events.js';
import { toProblem } from '../../src/errors.js';
import { kindsOf } from '../findings.js';
import { Painting } from '../frame.js';
import { html } from '../html.js';
import { keyStyles, markStyles, quietButtonStyles } from '../styles.js';
import { describeToken, roleInWords, surpriseLines, tokenFacts } from '../token.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';
import { levels, tokenStripStyles } from './token-strip-styles.js';

/** Tokens in the page at once, and those of which none is looked at again as long as nothing of them changes. */
const pageLength = 1024;
const groupLength = 64;

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
  static override styles = [quietButtonStyles, keyStyles, tooltipStyles, tokenStripStyles, markStyles];

  @state() private active = 0;
  @state() private page = 0;

  @query('.tokens') private list!: HTMLElement;
  @query('.tooltip') private tooltip!: HTMLElement;

  readonly #painting = new Painting(this, () => this.#placeRings());
  readonly #resize = new ResizeObserver(() => this.#painting.ask());
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
    const [from, to] = [page * pageLength, Math.min(labels.length, (page + 1) * pageLength)];
    const groups = Array.from({ length: Math.ceil((to - from) / groupLength) }, (_, group) => {
      const first = from + group * groupLength;
      return this.#group(first, Math.min(to, first + groupLength));
    });
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
      ><div class="flow">${groups}</div><i class="ring selected" aria-hidden="true"></i><i class="ring active" aria-hidden="true"></i></div>
      ${pages > 1 ? this.#pager(page, pages) : nothing} ${this.#key()}
      <div class="tooltip" hidden></div>
    `;
  }

  /** Tokens from `first` to before `end`. */
  #group(first: number, end: number) {
    const { findings, analysis, selection } = this.scene;
    const tints = Array.from({ length: end - first }, (_, index) => this.#tint(first + index));
    const { token: chosen = -1 } = selection;
    const depends = [findings, first, chosen >= first && chosen < end ? chosen : -1, tints.join(' ')];
    return html`<span class="group">${guard(depends, () => {
      const kinds = kindsOf(findings);
      const sinks = new Set(findings.sinks.sinks.map((sink) => sink.token));
      const roles = analysis.tokens?.tokens;
      return tints.map((tint, index) => {
        const token = first + index;
        const kind = kinds.get(token);
        const isSink = sinks.has(token);
        const role = roles?.[token]?.role;
        const isFirst = token % pageLength === 0 || role !== roles?.[token - 1]?.role;
        const begins = role !== undefined && role !== 'template' && isFirst;
        return html`${begins ? html`<span class="role" aria-hidden="true">${roleInWords[role]}</span>` : nothing}<span
          id="token${token}"
          class="token ${role ?? ''} ${tint} ${kind ?? ''} ${isSink ? 'sink' : ''}"
          role="option"
          data-token=${token}
          aria-selected=${chosen === token}
          aria-label=${tokenFacts(findings, token, kind, role)}
        >${kind === 'massive' ? html`<b class="of-massive">▲</b>` : nothing}${
          kind === 'large' ? html`<b class="of-large">△</b>` : nothing
        }${isSink ? html`<b class="of-sink">⚓︎</b>` : nothing}${shownLabel(findings.labels[token] ?? '')}</span>`;
      });
    })}</span>`;
  }

  /** The class of a token's background. */
  #tint(token: number): string {
    const { tint, thresholds } = this.scene;
    if (isAsked(tint)) return `${tint}${askedLevel(tint, this.#value(token))}`;
    return `tint${tintLevel(this.#multiples[token] ?? 0, tint, thresholds)}`;
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

  override firstUpdated(): void {
    this.#resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  override updated(): void {
    this.#painting.ask();
  }

  /** Puts the rings round their tokens and scrolls just as far as it takes to see the active one. */
  #placeRings(): void {
    const { list, active } = this;
    const boxOf = (token: number | undefined) =>
      this.renderRoot.querySelector(`#token${token}`)?.getBoundingClientRect();
    const [outer, selected, inner] = [list.getBoundingClientRect(), boxOf(this.scene.selection.token), boxOf(active)];
    const { scrollTop } = list;
    for (const [name, box] of Object.entries({ selected, active: inner })) {
      const ring = list.querySelector<HTMLElement>(`.ring.${name}`);
      if (ring === null) continue;
      ring.hidden = box === undefined;
      if (box === undefined) continue;
      const { style } = ring;
      style.left = `${box.left - outer.left}px`;
      style.top = `${box.top - outer.top + scrollTop}px`;
      style.width = `${box.width}px`;
      style.height = `${box.height}px`;
    }
    if (active === this.#revealed || inner === undefined) return;
    this.#revealed = active;
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
      void this.updateComplete.then(() => {
        this.#placeRings();
        this.#show(this.active);
      });
    } else if (event.key === 'Escape') this.#hide();
    else if (event.key === 'Enter' || event.key === ' ') this.select({ token: this.active });
    else return;
    event.preventDefault();
  }
}

/** A label as it is shown here: fonts seldom have the sign of a carriage return. */
function shownLabel(label: string) {
  const [first = '', ...others] = label.split('␍');
  return html`${first}${others.map((part) => html`<small>\\r</small>${part}`)}`;
}

function tokenUnder(event: Event): number | undefined {
  const token = event.target instanceof Element ? event.target.closest('[data-token]') : null;
  return token instanceof HTMLElement ? Number(token.dataset.token) : undefined;
}
