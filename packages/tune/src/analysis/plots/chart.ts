// The common figure: one panel under a title, with an optional legend or colour bar at its right.
import { bottomMargin, colourBar, colourBarWidth, leftMargin, legend, legendWidth, panel, type Axis, type LegendItem, type Plane } from "./panel.ts";
import { document } from "./svg.ts";

/** Size of a figure, in pixels. */
export interface Size {
  /** Default 760. */
  readonly width?: number;
  /** Default 460. */
  readonly height?: number;
}

export interface Chart extends Size {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly legend?: readonly LegendItem[];
  readonly colours?: Axis & { readonly colourAt?: (place: number) => string };
}

const TOP = 48;

/** Draws the chart as a complete SVG file. */
export function chart({ title, x, y, legend: items = [], colours, width = 760, height = 460 }: Chart, draw: (plane: Plane) => readonly string[]): string {
  const left = leftMargin(y.scale);
  const beside = (items.length > 0 ? legendWidth(items) : 0) + (colours === undefined ? 0 : colourBarWidth(colours));
  const across = width - left - Math.max(24, beside + 24);
  const box = { left, top: TOP, width: across, height: height - TOP - bottomMargin(x.scale, across) };
  const right = box.left + box.width + 18;
  const parts = [panel(box, x, y, draw)];
  if (items.length > 0) parts.push(legend(right, TOP, items));
  if (colours !== undefined) parts.push(colourBar(right, TOP + items.length * 20, box.height - items.length * 20, colours, colours.colourAt));
  return document(width, height, title, parts);
}
