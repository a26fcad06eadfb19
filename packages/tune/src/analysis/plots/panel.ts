// A panel: axes with ticks, grid and labels around a plane to draw on; legends and colour bars beside it.
import { ramp } from "./colours.ts";
import type { Scale } from "./scale.ts";
import { element, label, line, number } from "./svg.ts";

/** The rectangle of the drawing plane, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Axis {
  readonly name: string;
  readonly scale: Scale;
}

/** Maps values to pixels. */
export interface Plane {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly box: Box;
}

export interface LegendItem {
  readonly name: string;
  readonly colour: string;
  /** Default "dot". */
  readonly shape?: "dot" | "ring" | "line" | "bar";
}

const CHARACTER = 6.4; // mean width of a character at 12 px
const GRID = "#e6e6e6";
const AXIS = "#555555";
/** Longest tick label, in characters. */
const TICK_LIMIT = 26;
/** The same where labels slant. */
const TILTED_LIMIT = 20;
/** Pixels from one line of text to the next. */
const LINE = 13;

/** Width of the widest tick label. */
export function tickWidth(scale: Scale): number {
  return scale.ticks.reduce((widest, tick) => Math.max(widest, Math.min(TICK_LIMIT, tick.label.length)), 0) * CHARACTER;
}

/** Space to the left of a plane for the ticks and the name of its y axis. */
export function leftMargin(scale: Scale): number {
  return tickWidth(scale) + 46;
}

/** Draws axes, and `draw`'s marks over the grid. */
export function panel(box: Box, x: Axis, y: Axis, draw: (plane: Plane) => readonly string[]): string {
  const plane: Plane = {
    box,
    x: (value) => box.left + box.width * x.scale.place(value),
    y: (value) => box.top + box.height * (1 - y.scale.place(value)),
  };
  const bottom = box.top + box.height;
  const parts: string[] = [];
  const tilt = isTilted(x.scale, box.width);
  const everyX = stride(x.scale, box.width, tilt ? LINE : tickWidth(x.scale) + 12);
  for (const [i, tick] of x.scale.ticks.entries()) {
    if (i % everyX !== 0) continue;
    const at = plane.x(tick.value);
    parts.push(line(at, box.top, at, bottom, { stroke: GRID }));
    parts.push(
      tilt
        ? label(at, bottom + 14, tick.label, { "text-anchor": "end", transform: `rotate(-30 ${number(at)} ${number(bottom + 14)})` }, TILTED_LIMIT)
        : label(at, bottom + 17, tick.label, { "text-anchor": "middle" }, TICK_LIMIT),
    );
  }
  const everyY = stride(y.scale, box.height, LINE);
  for (const [i, tick] of y.scale.ticks.entries()) {
    if (i % everyY !== 0) continue;
    const at = plane.y(tick.value);
    parts.push(line(box.left, at, box.left + box.width, at, { stroke: GRID }));
    parts.push(label(box.left - 7, at + 4, tick.label, { "text-anchor": "end" }, TICK_LIMIT));
  }
  parts.push(...draw(plane));
  parts.push(element("path", { d: `M${number(box.left)} ${number(box.top)}V${number(bottom)}H${number(box.left + box.width)}`, fill: "none", stroke: AXIS }));
  parts.push(label(box.left + box.width / 2, bottom + bottomMargin(x.scale, box.width) - 25, x.name, { "text-anchor": "middle", "font-weight": "bold" }, Math.floor(box.width / 7)));
  if (y.name !== "") {
    const [cx, cy] = [box.left - tickWidth(y.scale) - 20, box.top + box.height / 2];
    parts.push(label(cx, cy, y.name, { "text-anchor": "middle", "font-weight": "bold", transform: `rotate(-90 ${number(cx)} ${number(cy)})` }, Math.floor(box.height / 7)));
  }
  return element("g", {}, ...parts);
}

/** Whether the labels below the plane must slant to have room. */
function isTilted(scale: Scale, width: number): boolean {
  return scale.kind === "categories" && tickWidth(scale) > width / Math.max(1, scale.ticks.length);
}

/** Space below a plane for the ticks and the name of its x axis. */
export function bottomMargin(scale: Scale, width: number): number {
  if (!isTilted(scale, width)) return 62;
  const longest = Math.max(...scale.ticks.map((tick) => Math.min(TILTED_LIMIT, tick.label.length)));
  return 54 + 0.5 * longest * CHARACTER;
}

/** Label every n-th tick, so that labels that need `room` do not touch on an axis of this length. */
export function stride(scale: Scale, length: number, room: number = LINE): number {
  return Math.max(1, Math.ceil((room * scale.ticks.length) / length));
}

/** Width that `legend` needs. */
export function legendWidth(items: readonly LegendItem[]): number {
  return Math.max(0, ...items.map(({ name }) => Math.min(28, name.length))) * CHARACTER + 34;
}

/** A column of named colours. */
export function legend(left: number, top: number, items: readonly LegendItem[]): string {
  return element(
    "g",
    {},
    ...items.flatMap(({ name, colour, shape = "dot" }, i) => {
      const y = top + 8 + i * 20;
      const sample =
        shape === "dot"
          ? element("circle", { cx: left + 9, cy: y, r: 4.5, fill: colour })
          : shape === "ring"
          ? element("circle", { cx: left + 9, cy: y, r: 4, fill: "none", stroke: colour })
          : shape === "line"
            ? line(left, y, left + 18, y, { stroke: colour, "stroke-width": 2.5 })
            : element("rect", { x: left + 2, y: y - 5, width: 14, height: 10, fill: colour });
      return [sample, label(left + 25, y + 4, name, {}, 28)];
    }),
  );
}

/** Width that `colourBar` needs. */
export function colourBarWidth({ scale }: Axis): number {
  return tickWidth(scale) + 52;
}

/** A vertical bar of the ramp with the axis' ticks; `colourAt` takes a place in [0, 1]. */
export function colourBar(left: number, top: number, height: number, { name, scale }: Axis, colourAt: (place: number) => string = ramp): string {
  const steps = 40;
  const slices = Array.from({ length: steps }, (_, i) =>
    element("rect", { x: left, y: top + height * (1 - (i + 1) / steps), width: 14, height: height / steps + 0.6, fill: colourAt((i + 0.5) / steps) }),
  );
  const ticks = scale.ticks.flatMap((tick) => {
    const y = top + height * (1 - scale.place(tick.value));
    return [line(left + 14, y, left + 18, y, { stroke: AXIS }), label(left + 22, y + 4, tick.label, {}, TICK_LIMIT)];
  });
  const [cx, cy] = [left + tickWidth(scale) + 38, top + height / 2];
  return element("g", {}, ...slices, ...ticks,
    label(cx, cy, name, { "text-anchor": "middle", transform: `rotate(-90 ${number(cx)} ${number(cy)})` }, Math.floor(height / 7)));
}
