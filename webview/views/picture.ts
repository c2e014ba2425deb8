/** The picture that was analyzed, with its patches tinted and marked, and the tokens that stand for no patch beside it. */

import { css, nothing, type PropertyValues } from 'lit';
import { customElement, query, state } from 'lit/decorators.js';
import { formatNumber, formatRatio } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import type { TokensEvent } from '../../src/engine/contract/events.js';
import { SinkscopeError } from '../../src/errors.js';
import { contextOf } from '../cells.js';
import { kindsOf, shownLayer } from '../findings.js';
import '../legend.js';
import { ratioAt } from '../numbers.js';
import { type Patch, paintPatches, patchAt, patchesOf, type Shown } from '../patches.js';
import { type DrawnPicture, paintedSvg } from '../picture.js';
import { multipleScale } from '../scale.js';
import { hiddenStyles, keyStyles, quietButtonStyles } from '../styles.js';
import type { TableData } from '../table.js';
import type { Theme } from '../theme.js';
import { describeToken, tokenFacts } from '../token.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';
import './picture-tokens.js';
import { Painting } from '../frame.js';
import { html } from '../html.js';

/** Tallest and widest that a picture is shown, in CSS pixels. */
const largest = { width: 640, height: 460 };

@customElement('sinkscope-picture')
export class PictureView extends View {
  static override styles = [
    hiddenStyles,
    keyStyles,
    quietButtonStyles,
    tooltipStyles,
    css`
      .body {
        display: flex;
        flex-wrap: wrap;
        align-items: start;
        gap: 8px 16px;
      }
      .stage {
        position: relative;
        flex: none;
        max-width: 100%;
        cursor: crosshair;
      }
      .stage:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      img,
      canvas {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
      }
      /* Under tints, whose colours mean something. */
      img.grey {
        filter: grayscale(1);
      }
      img.png {
        /* The engine turns no PNG; what is made one to be shown is upright. */
        image-orientation: none;
      }
      sinkscope-picture-tokens {
        flex: 1 1 9em;
      }
      .note {
        color: var(--muted);
      }
    `,
  ];

  /** Bytes of the picture that is shown, as an address; undefined before they have come. */
  @state() private address: string | undefined;
  @state() private png = false;
  /** Why there is no picture, or not the one that was analyzed. */
  @state() private problem: string | undefined;
  @state() private tinted = true;
  /** What the live region says. */
  @state() private spoken = '';

  @query('.stage') private stage!: HTMLElement;
  @query('img') private image!: HTMLImageElement | null;
  @query('canvas') private canvas!: HTMLCanvasElement;
  @query('.tooltip') private tooltip!: HTMLElement;

  #patches: readonly Patch[] = [];
  /** Index among the patches. */
  #cursor = 0;
  /** What was selected here: the cursor may be further when it comes back. */
  #chosen: number | undefined;
  #hover: Patch | undefined;
  #asked = -1;
  readonly #painting = new Painting(this, () => this.#draw());
  readonly #resize = new ResizeObserver(() => this.#painting.ask());

  private get picture(): NonNullable<TokensEvent['picture']> {
    return this.scene.analysis.tokens?.picture ?? { file: '', width: 1, height: 1 };
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#resize.observe(this.stage);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
    this.#forget();
    this.#asked = -1;
  }

  override willUpdate(changed: PropertyValues<this>): void {
    if (this.scene.run !== this.#asked) {
      this.#asked = this.scene.run;
      void this.#load(this.scene.run);
    }
    if (this.differs(changed, 'analysis', 'findings')) this.#patches = patchesOf(this.scene.analysis.tokens);
    const { token } = this.scene.selection;
    if (!this.differs(changed, 'selection') || token === this.#chosen) return;
    this.#chosen = undefined;
    const place = this.#patches.findIndex((patch) => patch.token === token);
    if (place >= 0) this.#cursor = place;
  }

  override render() {
    const { analysis, selection, theme, findings, thresholds } = this.scene;
    const { width, height, file } = this.picture;
    const layer = shownLayer(analysis, findings, selection);
    const name = file.replace(/^.*[\\/]/, '');
    const shown = Math.min(largest.width, (largest.height * width) / height);
    return this.figure({
      name: 'picture',
      heading: 'Patches',
      note: `max |h| over dimensions ÷ layer median, ${layer === 0 ? 'before the first layer' : `layer ${layer}`}`,
      actions: html`<button
        class="quiet"
        aria-pressed=${this.tinted}
        @click=${() => {
          this.tinted = !this.tinted;
        }}
      >tint</button>`,
      table: () => this.#table(),
      picture: (theme) => this.#saved(theme),
      scale: multipleScale(thresholds),
      body: html`
        <div class="body">
          <div
            class="stage"
            tabindex="0"
            role="application"
            aria-roledescription="picture"
            aria-label="${name}, ${this.#patches.length} patches. Arrow keys read patches, Enter selects."
            .style=${`width: ${shown}px; aspect-ratio: ${width} / ${height}`}
            @keydown=${this.#onKey}
            @focus=${() => this.#point(this.#cursor)}
            @blur=${this.#leave}
            @pointermove=${this.#onPointer}
            @pointerleave=${this.#leave}
            @click=${this.#onClick}
          >
            ${
              this.address === undefined
                ? nothing
                : html`<img
                  class="${this.png ? 'png' : ''} ${this.tinted ? 'grey' : ''}"
                  src=${this.address}
                  alt="The analyzed picture, ${name}"
                  @load=${this.#onLoad}
                  @error=${this.#onBroken}
                />`
            }
            <canvas></canvas>
          </div>
          <sinkscope-picture-tokens .scene=${this.scene}></sinkscope-picture-tokens>
        </div>
        ${this.problem === undefined ? nothing : html`<p class="note" role="status">${this.problem}</p>`}
        <div class="key">
          <sinkscope-legend .scale=${multipleScale(thresholds)} .theme=${theme}></sinkscope-legend>
          <span>
            ▲ massive, |h| > ${formatNumber(thresholds.absolute)} and ≥ ${formatRatio(thresholds.ratio)} median, in any layer · △
            large, ≥ ${formatRatio(thresholds.soft)} · ⚓︎ sink
          </span>
        </div>
        <div class="tooltip" hidden></div>
        <div class="hidden" aria-live="polite">${this.spoken}</div>
      `,
    });
  }

  override firstUpdated(): void {
    this.#resize.observe(this.stage);
  }

  override updated(): void {
    this.#painting.ask();
  }

  async #load(run: number): Promise<void> {
    this.#forget();
    try {
      const { bytes } = await this.scene.ask({ type: 'picture' });
      if (run !== this.scene.run || !this.isConnected) return;
      this.png = bytes[0] === 0x89;
      this.address = URL.createObjectURL(new Blob([bytes.slice()]));
    } catch (error) {
      if (SinkscopeError.is(error, 'cancelled') || run !== this.scene.run) return;
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  #forget(): void {
    if (this.address !== undefined) URL.revokeObjectURL(this.address);
    this.address = undefined;
    this.problem = undefined;
  }

  #onLoad(): void {
    const { image } = this;
    const { width, height, file } = this.picture;
    if (image === null || (image.naturalWidth === width && image.naturalHeight === height)) return;
    this.#forget();
    this.problem = `${file} has changed since it was analyzed; analyze it again.`;
  }

  #onBroken(): void {
    const { file } = this.picture;
    this.#forget();
    this.problem = `${file} can no longer be shown; analyze it again.`;
  }

  #draw(): void {
    if (!this.hasUpdated || this.stage.clientWidth === 0) return;
    const { clientWidth: width, clientHeight: height } = this.stage;
    const context = contextOf(this.canvas, width, height);
    if (context === null) return;
    context.clearRect(0, 0, width, height);
    const focused = this.shadowRoot?.activeElement === this.stage ? this.#patches[this.#cursor] : undefined;
    const { theme, selection } = this.scene;
    this.#paint(context, width, theme, { selected: selection.token, pointed: (this.#hover ?? focused)?.token });
  }

  #paint(
    context: CanvasRenderingContext2D,
    width: number,
    theme: Theme,
    marked: Pick<Shown, 'selected' | 'pointed'>,
  ): void {
    const { analysis, findings, selection, thresholds } = this.scene;
    const statistics = analysis.layers.at(shownLayer(analysis, findings, selection));
    const kinds = kindsOf(findings);
    const sinks = new Set(findings.sinks.sinks.map(({ token }) => token));
    const scale = multipleScale(thresholds);
    paintPatches(context, this.#patches, width / this.picture.width, theme, {
      shade: (token) => (this.tinted ? scale.at(ratioAt(statistics, token)) : Number.NaN),
      kind: (token) => kinds.get(token),
      isSink: (token) => sinks.has(token),
      ...marked,
    });
  }

  /** The picture with its patches, an image, for it is one; what is selected is of the page alone. */
  #saved(theme: Theme): DrawnPicture {
    const canvas = document.createElement('canvas');
    const { clientWidth: width, clientHeight: height } = this.stage;
    const context = contextOf(canvas, width, height, 2);
    if (context !== null) {
      context.filter = this.tinted ? 'grayscale(1)' : 'none';
      if (this.image?.complete) context.drawImage(this.image, 0, 0, width, height);
      context.filter = 'none';
      this.#paint(context, width, theme, { selected: undefined, pointed: undefined });
    }
    const key = [{ text: '▲ massive · △ large, in any layer · ⚓ sink', color: 'none' }];
    return { ...paintedSvg(canvas), key };
  }

  /** Reads a patch out, beside it and to screen readers. */
  #point(place: number): void {
    const patch = this.#patches[place];
    if (patch === undefined) return;
    this.#hover = undefined;
    this.#cursor = place;
    this.#showTooltip(patch);
    const kind = kindsOf(this.scene.findings).get(patch.token);
    this.spoken = [
      tokenFacts(this.scene.findings, patch.token, kind),
      ...(describeToken(this.scene, patch.token) ?? []).slice(1),
    ].join(', ');
    this.#painting.ask();
  }

  #showTooltip({ token, region }: Patch): void {
    const lines = describeToken(this.scene, token);
    if (lines === undefined) return;
    const { left, top } = this.stage.getBoundingClientRect();
    const scale = this.stage.clientWidth / this.picture.width;
    const { x, y, width, height } = region;
    showTooltip(this.tooltip, new DOMRect(left + x * scale, top + y * scale, width * scale, height * scale), lines);
  }

  #under(event: MouseEvent): Patch | undefined {
    const { left, top } = this.stage.getBoundingClientRect();
    const scale = this.stage.clientWidth / this.picture.width;
    return patchAt(this.#patches, (event.clientX - left) / scale, (event.clientY - top) / scale);
  }

  #onPointer(event: PointerEvent): void {
    const patch = this.#under(event);
    if (patch === this.#hover) return;
    if (patch === undefined) this.#leave();
    else {
      this.#hover = patch;
      this.#showTooltip(patch);
      this.#painting.ask();
    }
  }

  #leave(): void {
    this.#hover = undefined;
    this.tooltip.hidden = true;
    this.#painting.ask();
  }

  #onClick(event: MouseEvent): void {
    const patch = this.#under(event);
    if (patch) this.select({ token: patch.token });
  }

  #onKey(event: KeyboardEvent): void {
    const patches = this.#patches;
    const [corner] = patches;
    if (!corner) return;
    const columns = patches.filter(({ region }) => region.y === corner.region.y).length;
    const [column, last] = [this.#cursor % columns, patches.length - 1];
    const steps: Record<string, number> = {
      ArrowLeft: column > 0 ? this.#cursor - 1 : this.#cursor,
      ArrowRight: column < columns - 1 ? Math.min(last, this.#cursor + 1) : this.#cursor,
      ArrowUp: this.#cursor >= columns ? this.#cursor - columns : this.#cursor,
      ArrowDown: this.#cursor + columns <= last ? this.#cursor + columns : this.#cursor,
      Home: event.ctrlKey ? 0 : this.#cursor - column,
      End: event.ctrlKey ? last : Math.min(last, this.#cursor - column + columns - 1),
    };
    const step = steps[event.key];
    if (step !== undefined) this.#point(step);
    else if (event.key === 'Enter' || event.key === ' ') {
      this.#chosen = patches[this.#cursor]?.token;
      this.select({ token: this.#chosen });
    } else if (event.key === 'Escape') this.#leave();
    else return;
    event.preventDefault();
  }

  #table(): TableData {
    const { analysis, findings, selection } = this.scene;
    const layer = shownLayer(analysis, findings, selection);
    const statistics = analysis.layers[layer];
    const largest = (token: number) => statistics?.tokenMax[token] ?? Number.NaN;
    const dim = (token: number) => statistics?.tokenMaxDim[token] ?? Number.NaN;
    const kinds = kindsOf(findings);
    const sinks = new Set(findings.sinks.sinks.map(({ token }) => token));
    return {
      caption: `Largest |h| of each token at layer ${layerName(layer)}, and what it is in any layer`,
      columns: [
        { name: 'token' },
        { name: '÷ median', format: 'ratio' },
        { name: 'max |h|' },
        { name: 'dim', format: 'plain' },
        { name: 'marks' },
      ],
      rows: findings.tokens,
      cells: (token) => [
        findings.labels[token] ?? `token ${token}`,
        finiteCell(ratioAt(statistics, token)),
        finiteCell(largest(token)),
        finiteCell(dim(token)),
        [kinds.get(token), sinks.has(token) ? 'sink' : undefined].filter((mark) => mark !== undefined).join(', '),
      ],
      order: (token) => [
        token,
        largest(token),
        largest(token),
        dim(token),
        Number(sinks.has(token)) + (kinds.has(token) ? 2 : 0),
      ],
      ...(selection.token === undefined ? {} : { selected: selection.token }),
    };
  }
}
