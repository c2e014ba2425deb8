/** Every dimension of one layer as a bar: its largest |h| over tokens. Massive dimensions are named. */

import { css, type PropertyValues } from 'lit';
import { customElement, query } from 'lit/decorators.js';
import { formatNumber, formatRatio } from '../../src/analysis/format.js';
import { layerName } from '../../src/analysis/label.js';
import { type Kind, kindOf, ratio } from '../../src/analysis/massive.js';
import { finiteCell } from '../../src/analysis/presentation.js';
import { greatest } from '../../src/statistics/numbers.js';
import { canvasFont, contextOf } from '../cells.js';
import { shownLayer } from '../findings.js';
import { Painting } from '../frame.js';
import { html } from '../html.js';
import type { DrawnPicture } from '../picture.js';
import { svgRect, svgText } from '../svg.js';
import type { TableData } from '../table.js';
import type { Theme } from '../theme.js';
import { showTooltip, tooltipStyles } from '../tooltip.js';
import { View } from '../view.js';

const height = { bars: 62, labels: 18 };

@customElement('sinkscope-dimension-ruler')
export class DimensionRuler extends View {
  static override styles = [
    tooltipStyles,
    css`
      .ruler {
        height: 80px;
        cursor: crosshair;
      }
      .ruler:focus-visible {
        outline: 1px solid var(--vscode-focusBorder);
        outline-offset: 2px;
      }
      canvas {
        display: block;
      }
    `,
  ];

  @query('.ruler') private ruler!: HTMLElement;
  @query('canvas') private canvas!: HTMLCanvasElement;
  @query('.tooltip') private tooltip!: HTMLElement;

  /** What of the selection is painted. */
  #drawn: { readonly layer: number; readonly dim: number | undefined } | undefined;
  readonly #painting = new Painting(this, () => this.#draw());
  readonly #resize = new ResizeObserver(() => this.#painting.ask());

  override render() {
    const layer = this.#layer();
    const statistics = this.#statistics();
    const dim = this.scene.selection.dim ?? this.#largest();
    return this.figure({
      name: 'dimensions',
      heading: `Dimensions at layer ${layerName(layer)}`,
      note: `max |h| over tokens, ${formatNumber(statistics?.dims ?? 0)} dimensions`,
      table: () => this.#table(),
      picture: (theme) => this.#picture(theme),
      body: html`
        <div
          class="ruler"
          role="slider"
          tabindex="0"
          aria-label="Dimension"
          aria-valuemin="0"
          aria-valuemax=${Math.max(0, (statistics?.dims ?? 1) - 1)}
          aria-valuenow=${dim}
          aria-valuetext=${this.#describe(dim).join(', ')}
          @keydown=${this.#onKey}
          @focus=${() => this.#show(dim)}
          @blur=${this.#hide}
          @pointermove=${(event: PointerEvent) => this.#show(this.#under(event))}
          @pointerleave=${this.#hide}
          @click=${(event: MouseEvent) => this.select({ dim: this.#under(event) })}
        >
          <canvas></canvas>
        </div>
        <div class="tooltip" hidden></div>
      `,
    });
  }

  override firstUpdated(): void {
    this.#resize.observe(this.ruler);
  }

  override updated(changed: PropertyValues<this>): void {
    const { dim } = this.scene.selection;
    const isMoved = this.#layer() !== this.#drawn?.layer || dim !== this.#drawn.dim;
    if (isMoved || this.differs(changed, 'findings', 'theme')) this.#painting.ask();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  #layer(): number {
    return shownLayer(this.scene.analysis, this.scene.findings, this.scene.selection);
  }

  #statistics() {
    return this.scene.analysis.layers.at(this.#layer());
  }

  #largest(): number {
    return this.#statistics()?.top[0]?.dim ?? 0;
  }

  #draw(): void {
    const width = this.ruler.clientWidth;
    const context = width > 0 ? contextOf(this.canvas, width, height.bars + height.labels) : null;
    if (context === null) return;
    this.#drawn = { layer: this.#layer(), dim: this.scene.selection.dim };
    this.#paint(context, width);
  }

  #paint(context: CanvasRenderingContext2D, width: number): void {
    const { theme, thresholds } = this.scene;
    const statistics = this.#statistics();
    context.fillStyle = theme.background;
    context.fillRect(0, 0, width, height.bars + height.labels);
    if (statistics === undefined) return;
    const { dimMax, dims, median } = statistics;
    const colors: Record<Kind, string> = { massive: theme.massive, large: theme.large };
    const kinds = Array.from(dimMax, (max) => kindOf(max, statistics, thresholds));
    const top = greatest(dimMax, Math.max(median * 10, Number.MIN_VALUE));
    // A logarithmic axis from the median: at 1,000 × a linear one would flatten all others to nothing.
    const tall = (max: number) =>
      max > median ? (Math.log(max / median) / Math.log(top / median)) * (height.bars - 4) : 0;
    const slot = width / dims;
    const bars = slot >= 2 ? dims : Math.floor(width / 2);
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor((bar * dims) / bars);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * dims) / bars));
      let dim = from;
      let max = 0;
      for (let other = from; other < to; other++) {
        const here = dimMax[other] ?? 0;
        if (here > max) [dim, max] = [other, here];
      }
      const kind = kinds[dim];
      context.fillStyle = kind ? colors[kind] : theme.muted;
      context.globalAlpha = kind ? 1 : 0.55;
      const barHeight = Math.max(1, tall(max));
      context.fillRect((bar * width) / bars, height.bars - barHeight, Math.max(1, width / bars - 1), barHeight);
    }
    context.globalAlpha = 1;
    this.#paintLabels(context, width, kinds, colors);
    const { dim } = this.scene.selection;
    if (dim === undefined || dim >= dims) return;
    context.strokeStyle = theme.focus;
    context.lineWidth = 1.5;
    context.strokeRect(Math.max(1, dim * slot - 2), 1, Math.max(slot, 2) + 3, height.bars);
  }

  /** Each dimension as a bar from the layer's median on, on a logarithmic axis; those that stand out are named. */
  #picture(theme: Theme): DrawnPicture {
    const statistics = this.#statistics();
    const size = { left: 56, width: 640, bars: 160, labels: 22 };
    if (statistics === undefined) return { svg: '', width: 0, height: 0 };
    const { dimMax, dims, median } = statistics;
    const top = greatest(dimMax, Math.max(median * 10, Number.MIN_VALUE));
    const heightOf = (max: number) =>
      max > median ? (Math.log(max / median) / Math.log(top / median)) * size.bars : 0;
    const slot = size.width / dims;
    const kinds = Array.from(dimMax, (max) => kindOf(max, statistics, this.scene.thresholds));
    const colorAt = (dim: number) => (kinds[dim] ? theme[kinds[dim]] : theme.muted);
    const bars = Array.from(dimMax, (max, dim) => {
      const tall = Math.max(1, heightOf(max));
      // Those that stand out are seen among a thousand.
      const wide = kinds[dim] ? Math.max(1.5, slot) : slot;
      return svgRect(size.left + dim * slot, size.bars - tall, wide, tall, colorAt(dim));
    });
    const powers = [1, 10, 100, 1000, 10_000, 100_000].filter((times) => times <= top / median);
    const ticks = powers.map((times) => {
      const y = size.bars - heightOf(times * median);
      const label = svgText(size.left - 6, y + 4, formatRatio(times), { fill: theme.foreground, anchor: 'end' });
      return `${svgRect(size.left, y - 0.25, size.width, 0.5, theme.muted)}${label}`;
    });
    const taken: number[] = [];
    const named = [...kinds.keys()]
      .filter((dim) => kinds[dim] !== undefined)
      .sort((a, b) => (dimMax[b] ?? 0) - (dimMax[a] ?? 0));
    const labels = named.flatMap((dim) => {
      const x = size.left + (dim + 0.5) * slot;
      if (taken.some((other) => Math.abs(other - x) < 34)) return [];
      taken.push(x);
      return [svgText(x, size.bars + 15, `${dim}`, { fill: theme.foreground, anchor: 'middle' })];
    });
    return {
      svg: [...ticks, ...bars, ...labels].join(''),
      width: size.left + size.width + 20,
      height: size.bars + size.labels,
      key: (['massive', 'large'] as const)
        .filter((kind) => kinds.includes(kind))
        .map((kind) => ({ text: `${kind}, by its number`, color: theme[kind], line: { dashes: '' } })),
    };
  }

  /** Names of the dimensions that stand out and of the selected one; the strongest first, none over another. */
  #paintLabels(
    context: CanvasRenderingContext2D,
    width: number,
    kinds: readonly (Kind | undefined)[],
    colors: Record<Kind, string>,
  ): void {
    const statistics = this.#statistics();
    if (statistics === undefined) return;
    const { dimMax, dims } = statistics;
    const named = Array.from(dimMax, (max, dim) => ({ max, dim }))
      .filter(({ dim }) => kinds[dim] !== undefined)
      .sort((a, b) => b.max - a.max)
      .map(({ dim }) => dim);
    const { dim: selected } = this.scene.selection;
    if (selected !== undefined && selected < dims) named.unshift(selected);
    const taken: [number, number][] = [];
    context.textAlign = 'center';
    context.textBaseline = 'top';
    context.font = canvasFont(this.scene.theme);
    for (const dim of new Set(named)) {
      const label = kinds[dim] === 'massive' ? `▲ ${dim}` : `${dim}`;
      const half = context.measureText(label).width / 2 + 3;
      const x = Math.min(width - half, Math.max(half, ((dim + 0.5) * width) / dims));
      if (taken.some(([from, to]) => x + half > from && x - half < to)) continue;
      taken.push([x - half, x + half]);
      const kind = kinds[dim];
      context.fillStyle = kind ? colors[kind] : this.scene.theme.foreground;
      context.fillText(label, x, height.bars + 4);
    }
  }

  #under(event: MouseEvent): number {
    const { left, width } = this.ruler.getBoundingClientRect();
    const dims = this.#statistics()?.dims ?? 1;
    const dim = Math.min(dims - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * dims)));
    // Close to a bar that stands out, that bar is meant: it may be one pixel wide.
    const reach = Math.ceil((4 / width) * dims);
    let best = dim;
    const heightOf = (other: number) => this.#statistics()?.dimMax[other] ?? 0;
    for (let near = dim - reach; near <= dim + reach; near++) if (heightOf(near) > heightOf(best) * 4) best = near;
    return best;
  }

  #describe(dim: number): string[] {
    const statistics = this.#statistics();
    if (statistics === undefined) return ['nothing computed yet'];
    const max = statistics.dimMax[dim] ?? Number.NaN;
    const kind = kindOf(max, statistics, this.scene.thresholds);
    const entry = statistics.top.find((candidate) => candidate.dim === dim);
    const token = entry && this.scene.findings.labels[entry.token];
    return [
      `dimension ${dim} · layer ${layerName(this.#layer())}`,
      `max |h| ${formatNumber(max)} = ${formatRatio(ratio(max, statistics))} the median`,
      ...(token === undefined ? [] : [`at ${token}`]),
      ...(kind === undefined ? [] : [kind]),
    ];
  }

  #show(dim: number): void {
    const { left, top, width } = this.ruler.getBoundingClientRect();
    const slot = width / (this.#statistics()?.dims ?? 1);
    showTooltip(this.tooltip, new DOMRect(left + dim * slot, top, slot, height.bars), this.#describe(dim));
  }

  #hide(): void {
    this.tooltip.hidden = true;
  }

  #onKey(event: KeyboardEvent): void {
    const last = (this.#statistics()?.dims ?? 1) - 1;
    const dim = this.scene.selection.dim ?? this.#largest();
    const steps: Record<string, number> = {
      ArrowLeft: dim - 1,
      ArrowDown: dim - 1,
      ArrowRight: dim + 1,
      ArrowUp: dim + 1,
      PageDown: dim - 16,
      PageUp: dim + 16,
      Home: 0,
      End: last,
    };
    if (event.key === 'Escape') this.#hide();
    const wanted = steps[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(last, wanted));
    this.select({ dim: next });
    this.#show(next);
  }

  #table(): TableData {
    const statistics = this.#statistics();
    return {
      caption: `Largest |h| over tokens of each dimension at layer ${layerName(this.#layer())}`,
      columns: [
        { name: 'dimension', format: 'plain' },
        { name: 'max |h|' },
        { name: '÷ median', format: 'ratio' },
        { name: 'kind' },
      ],
      rows: statistics?.dims ?? 0,
      cells: (dim) => {
        if (statistics === undefined) return [];
        const max = statistics.dimMax[dim] ?? Number.NaN;
        const kind = kindOf(max, statistics, this.scene.thresholds) ?? '';
        return [dim, finiteCell(max), finiteCell(ratio(max, statistics)), kind];
      },
      order: (dim) => {
        const max = statistics?.dimMax[dim] ?? 0;
        return [dim, max, max, max];
      },
      selectable: true,
      ...(this.scene.selection.dim === undefined ? {} : { selected: this.scene.selection.dim }),
    };
  }
}
