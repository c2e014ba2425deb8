/** Bars and lines of a presentation, drawn by Observable Plot in the theme's colours. */
import { areaY, axisY, barX, dot, gridX, gridY, line, plot, ruleX, ruleY, text } from '@observablehq/plot';
import { css, LitElement, nothing, type PropertyValues } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { formatNumber } from '../../src/analysis/format.js';
import { type BarsPart, formatCell, formatTick, type LinesPart } from '../../src/analysis/presentation.js';
import { greatest, least } from '../../src/statistics/numbers.js';
import { html } from '../html.js';
import type { DrawnPicture } from '../picture.js';
import { type EndLabel, endLabels, logAxis, PlotPlace, pictureWidth, roomFor } from '../plot.js';
import { apart, logTicks } from '../scale.js';
import { plotStyles } from '../styles.js';
import type { Theme } from '../theme.js';

const dashes = ['', '6 3', '2 3', '8 3 2 3', '1 2'];

@customElement('sinkscope-chart')
export class Chart extends LitElement {
  static override styles = [
    plotStyles,
    css`
      .plot {
        min-height: 40px;
      }
      .band {
        display: inline-block;
        width: 22px;
        height: 10px;
        margin-right: 4px;
        background: color-mix(in srgb, var(--vscode-charts-purple) 20%, transparent);
      }
      li svg {
        display: inline-block;
        margin-right: 4px;
        vertical-align: middle;
      }
    `,
  ];

  @property({ attribute: false }) chart!: BarsPart | LinesPart;
  @property({ attribute: false }) theme!: Theme;

  readonly #plot = new PlotPlace(this, (width, theme = this.theme) =>
    this.chart.kind === 'bars' ? this.#bars(this.chart, width, theme) : this.#lines(this.chart, width, theme),
  );

  override render() {
    return html`<div class="plot" aria-hidden="true"></div>
      ${this.chart.kind === 'lines' ? this.#legend(this.chart) : nothing}`;
  }

  override updated(changed: PropertyValues<this>): void {
    if (changed.has('chart') || changed.has('theme')) this.#plot.draw();
  }

  picture(theme: Theme): DrawnPicture {
    const { chart } = this;
    if (chart.kind === 'bars') return this.#plot.picture(theme);
    const lines = this.#isLabelled(chart, pictureWidth, theme) ? [] : chart.lines;
    const key = [
      ...lines.map(({ name }, index) => {
        return { text: name, color: colorOf(index, theme), line: { dashes: dashes[index % 5] ?? '' } };
      }),
      ...(hasIntervals(chart) ? [{ text: intervalWords, color: colorOf(0, theme), band: true }] : []),
    ];
    return { ...this.#plot.picture(theme), key };
  }

  #bars({ bars, value, log, reference }: BarsPart, width: number, theme: Theme) {
    const shown = bars.filter((bar) => Number.isFinite(bar.value) && (!log || bar.value > 0));
    const ends = shown.flatMap(({ value, interval }) => [value, ...(interval ?? [])]).filter(Number.isFinite);
    const start = reference ?? (log ? least(ends) : 0);
    const [low, high] = [least(ends, start), greatest(ends, start)];
    const room = log ? 1.02 : 0.02 * (high - low || 1);
    const domain = log
      ? ([low / room, high * room] as const)
      : ([low - (low < start ? room : 0), high + room] as const);
    const ticks = log ? logTicks(...domain) : 4;
    const names = bars.map(({ name }) => name);
    const margins = { left: Math.min(width / 2, roomFor(names, theme) + 4), right: 74 };
    // Names that are longer than half of the room are told in two lines: their ends are what tells them apart.
    const isLong = roomFor(names, theme) + 4 > margins.left;
    return plot({
      ...frameOf(width, bars.length * (isLong ? 32 : 22) + 36, theme),
      marginTop: 6,
      marginLeft: margins.left,
      marginRight: margins.right,
      x: {
        type: log ? 'log' : 'linear',
        domain,
        ticks,
        tickFormat: formatNumber,
        tickSize: 0,
        label: null,
        ...(log && { axis: null }),
      },
      y: { domain: names, axis: null },
      marks: [
        gridX({ ticks, stroke: theme.muted, strokeOpacity: 0.2 }),
        typeof ticks === 'number'
          ? null
          : logAxis('x', called(ticks, domain, width - margins.left - margins.right, theme), formatNumber, 'log scale'),
        axisY({ tickSize: 0, label: null, ...(isLong && { lineWidth: (margins.left - 12) / widestLetter }) }),
        barX(shown, {
          x1: () => start,
          x2: 'value',
          y: 'name',
          fill: theme.series[0],
          fillOpacity: theme.highContrast ? 1 : 0.75,
          insetTop: 4,
          insetBottom: 4,
        }),
        ruleX([start], { stroke: theme.foreground, strokeDasharray: reference === undefined ? '' : '4 2' }),
        dot(shown, { x: 'value', y: 'name', r: 3, fill: theme.series[0], stroke: theme.foreground }),
        ruleY(
          shown.filter(({ interval }) => interval?.every(Number.isFinite)),
          { y: 'name', x1: (bar) => bar.interval[0], x2: (bar) => bar.interval[1], stroke: theme.foreground },
        ),
        text(shown, {
          x: (bar) => Math.max(start, bar.value, bar.interval?.[1] ?? bar.value),
          y: 'name',
          text: (bar) => formatCell(bar.value, value.format),
          textAnchor: 'start',
          dx: 8,
          fill: theme.foreground,
        }),
      ],
    });
  }

  /** Whether lines are called at their ends: a picture has to be left beside them. */
  #isLabelled({ lines }: LinesPart, width: number, theme: Theme): boolean {
    const names = lines.map(({ name }) => name);
    return roomFor(names, theme) < 0.3 * width;
  }

  #lines(chart: LinesPart, width: number, theme: Theme) {
    const { x, y, lines } = chart;
    const isDrawn = (value: number | null | undefined): value is number =>
      value !== null && value !== undefined && !(y.log && value <= 0);
    const series = lines.map(({ values }) =>
      x.values.flatMap((at, i) => {
        const value = values[i];
        return isDrawn(value) ? [{ x: at, y: value }] : [];
      }),
    );
    const bands = lines.map(({ interval }) =>
      x.values.flatMap((at, i) => {
        const [from, to] = [interval?.from[i], interval?.to[i]];
        return isDrawn(from) && isDrawn(to) ? [{ x: at, from, to }] : [];
      }),
    );
    const ends = series.flatMap((points, index): EndLabel[] => {
      const last = points.at(-1);
      return last === undefined ? [] : [{ ...last, text: lines[index]?.name ?? '', color: colorOf(index, theme) }];
    });
    const labels = this.#isLabelled(chart, width, theme) ? ends : [];
    const values = [...series.flat().map((point) => point.y), ...bands.flat().flatMap(({ from, to }) => [from, to])];
    // Rounded to powers of ten a logarithmic axis would be mostly empty.
    const domain = y.log && values.length > 0 ? ([least(values) / 1.2, greatest(values) * 1.2] as const) : undefined;
    const ticks = domain ? logTicks(...domain) : 4;
    const said = (value: number) => formatTick(value, y.format === 'fixed' ? 'number' : y.format);
    return plot({
      ...frameOf(width, 206, theme),
      // Room for the name of the axis under its ticks.
      marginBottom: 36,
      marginLeft: 56,
      marginRight: Math.max(
        16,
        roomFor(
          labels.map(({ text }) => text),
          theme,
        ),
      ),
      marginTop: 22,
      x: {
        ticks: ticksOf(x.values, Math.floor(width / 60)),
        tickFormat: formatNumber,
        tickSize: 0,
        label: x.name,
        labelArrow: 'none',
        labelAnchor: 'center',
      },
      y: {
        type: y.log ? 'log' : 'linear',
        ticks,
        tickFormat: said,
        tickSize: 0,
        label: null,
        ...(domain === undefined ? { nice: true } : { domain, axis: null }),
      },
      marks: [
        gridY({ ticks, stroke: theme.muted, strokeOpacity: 0.2 }),
        typeof ticks === 'number' ? null : logAxis('y', ticks, said, 'log scale'),
        ...bands.map((points, index) =>
          areaY(points, { x: 'x', y1: 'from', y2: 'to', fill: colorOf(index, theme), fillOpacity: 0.2 }),
        ),
        ...series.map((points, index) =>
          line(points, {
            x: 'x',
            y: 'y',
            stroke: colorOf(index, theme),
            strokeWidth: 1.5,
            strokeDasharray: dashes[index % 5],
          }),
        ),
        ...series.map((points, index) =>
          points.length > 40 ? null : dot(points, { x: 'x', y: 'y', r: 2, fill: colorOf(index, theme) }),
        ),
        endLabels(labels),
      ],
    });
  }

  #legend(chart: LinesPart) {
    // Before the plot is drawn its width is not known, and both are drawn anew with another one.
    const lines = this.#isLabelled(chart, this.#plot.width, this.theme) ? [] : chart.lines;
    return html`<ul aria-hidden="true">
      ${hasIntervals(chart) ? html`<li><i class="band"></i>${intervalWords}</li>` : nothing}
      ${lines.map(
        ({ name }, index) => html`<li>
          <svg width="22" height="6">
            <line x1="0" x2="22" y1="3" y2="3" stroke=${colorOf(index, this.theme)} stroke-width="2" stroke-dasharray=${dashes[index % 5]} />
          </svg>${name}
        </li>`,
      )}
    </ul>`;
  }
}

function frameOf(width: number, height: number, { muted, font }: Theme) {
  const style = { background: 'none', color: muted, fontFamily: font, fontSize: '11px' };
  return { width, height, marginBottom: 30, style };
}

/** CSS pixels that the height of a letter is taken for, by which Plot reckons what a line holds: some fonts are wide. */
const widestLetter = 12.5;

/** Of ticks of a logarithmic scale across so many CSS pixels those whose numbers run into no other. */
function called(ticks: readonly number[], [low, high]: readonly [number, number], room: number, theme: Theme) {
  const at = (tick: number) => (room * Math.log(tick / low)) / Math.log(high / low);
  const places = ticks.map((tick) => ({ tick, x: at(tick), half: roomFor([formatNumber(tick)], theme) / 2 }));
  return apart(places).map(({ tick }) => tick);
}

/** Each round of dashes begins with another colour, so that no two lines are alike before there are as many as both allow. */
const colorOf = (index: number, { series }: Theme): string =>
  series[(index + Math.floor(index / dashes.length)) % series.length] ?? series[0];

const intervalWords = '95 % interval';
const hasIntervals = ({ lines }: LinesPart) => lines.some(({ interval }) => interval !== undefined);

/** Each whole number where all are and there is room for them, else so many as there is room for. */
function ticksOf(values: readonly number[], most: number): number | number[] {
  const [first, last] = [least(values), greatest(values)];
  if (!values.every(Number.isInteger) || !(last - first < most)) return Math.min(values.length, most);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

declare global {
  interface HTMLElementTagNameMap {
    'sinkscope-chart': Chart;
  }
}
