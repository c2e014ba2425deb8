/** A field's surface by WebGL 2: heights are a texture, corners are made of their numbers, and nothing else is stored. */

import { pooled } from '../../src/statistics/pooled.js';
import type { Theme } from '../theme.js';
import { box, clipMatrix, type Projection } from './camera.js';
import type { HeightField } from './field.js';

/** What is drawn of a field: cells as they are, or fewer, while it is turned where drawing is slow. */
export type Detail = 'whole' | 'coarse';

export interface SurfacePainter {
  /** Takes over heights and shades. */
  load(field: HeightField): void;
  paint(view: Projection, theme: Theme, detail: Detail): void;
}

/** Cells that are drawn in a frame's time even without a graphics processor. */
const fewer = { rows: 48, columns: 96 };

/**
 * Corners stand in the middles of cells and around them at the floor's edges, so that a single row is seen too, and one
 * at the edge is as high there as it is. Between two rows of corners lies one strip of triangles, an instance of it.
 */
const vertexShader = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D field;
uniform ivec2 cells;
uniform vec3 extents;
uniform mat4 clip;
out vec3 point;
out vec2 cell;
void main() {
  ivec2 corner = ivec2(gl_VertexID >> 1, gl_InstanceID + (gl_VertexID & 1));
  cell = texelFetch(field, clamp(corner - 1, ivec2(0), cells - 1), 0).rg;
  vec2 place = clamp(vec2(corner) - 0.5, vec2(0.0), vec2(cells)) / vec2(cells);
  point = vec3((2.0 * place - 1.0) * extents.xy, max(cell.x, 0.0) * extents.z);
  gl_Position = clip * vec4(point, 1.0);
}`;

/** Of the colour of its place on the ramp, darker where it is steep; nothing where a height is missing. */
const fragmentShader = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D ramp;
in vec3 point;
in vec2 cell;
out vec4 color;
void main() {
  if (cell.x < -0.5) discard;
  vec3 normal = normalize(cross(dFdx(point), dFdy(point)));
  float light = 0.72 + 0.28 * abs(dot(normal, vec3(0.26, -0.37, 0.89)));
  color = vec4(texture(ramp, vec2(clamp(cell.y, 0.0, 1.0) * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb * light, 1.0);
}`;

/** Undefined where the canvas gets no WebGL 2, or its context is lost. */
export function surfacePainter(canvas: HTMLCanvasElement): SurfacePainter | undefined {
  const gl = canvas.getContext('webgl2', { antialias: true, alpha: true, powerPreference: 'low-power' });
  if (gl === null || gl.isContextLost()) return undefined;
  const program = linked(gl);
  if (program === undefined) return undefined;
  const ramp = gl.createTexture();
  const drawn = { whole: emptyGrid(gl), coarse: emptyGrid(gl) };
  let field: HeightField | undefined;
  const uniform = (name: string) => gl.getUniformLocation(program, name);
  const places = { cells: uniform('cells'), extents: uniform('extents'), clip: uniform('clip') };
  gl.useProgram(program);
  gl.uniform1i(uniform('field'), 0);
  gl.uniform1i(uniform('ramp'), 1);
  gl.enable(gl.DEPTH_TEST);
  let painted: Theme | undefined;
  return {
    load(next) {
      field = next;
      for (const grid of Object.values(drawn)) grid.rows = 0;
    },
    paint(view, theme, detail) {
      if (field === undefined) return;
      const grid = drawn[detail];
      if (grid.rows === 0) fill(gl, grid, field, detail === 'coarse' ? fewer : field);
      if (theme !== painted) {
        painted = theme;
        bind(gl, gl.TEXTURE1, ramp);
        const bytes = new Uint8Array(theme.ramps.magnitude.ramp.buffer);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
      }
      gl.activeTexture(gl.TEXTURE0);
      gl.bindTexture(gl.TEXTURE_2D, grid.texture);
      gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniform2i(places.cells, grid.columns, grid.rows);
      gl.uniform3f(places.extents, box.x, box.y, box.z);
      gl.uniformMatrix4fv(places.clip, false, clipMatrix(view));
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 2 * (grid.columns + 2), grid.rows + 1);
    },
  };
}

/** A texture of heights and shades, [rows, columns]; without rows before it is filled. */
interface DrawnPicture {
  readonly texture: WebGLTexture | null;
  rows: number;
  columns: number;
}

const emptyGrid = (gl: WebGL2RenderingContext): DrawnPicture => ({ texture: gl.createTexture(), rows: 0, columns: 0 });

/** With no more than `most` cells along each axis, of which each keeps its highest. */
function fill(
  gl: WebGL2RenderingContext,
  grid: DrawnPicture,
  { heights, shades, top, ...field }: HeightField,
  most: { readonly rows: number; readonly columns: number },
): void {
  const { rows, columns, values, places } = pooled(heights, field.rows, field.columns, most);
  const texels = new Float32Array(2 * rows * columns);
  for (const [at, value] of values.entries()) {
    // Far below the floor: missing, and with it every triangle that touches it.
    texels[2 * at] = Number.isFinite(value) ? value / top : -1e3;
    texels[2 * at + 1] = shades[places[at] ?? 0] || 0;
  }
  bind(gl, gl.TEXTURE0, grid.texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RG32F, columns, rows, 0, gl.RG, gl.FLOAT, texels);
  Object.assign(grid, { rows, columns });
}

function bind(gl: WebGL2RenderingContext, unit: number, texture: WebGLTexture | null): void {
  gl.activeTexture(unit);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
    gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  for (const edge of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, edge, gl.CLAMP_TO_EDGE);
}

function linked(gl: WebGL2RenderingContext): WebGLProgram | undefined {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertexShader],
    [gl.FRAGMENT_SHADER, fragmentShader],
  ] as const) {
    const shader = gl.createShader(type);
    if (shader === null) return undefined;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : undefined;
}
