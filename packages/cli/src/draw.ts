// Drawing in the terminal: grey images as half blocks, two pixels a character, and the confusion matrix.
// Without colours an image falls back to a ramp of characters.
import { styleText } from "node:util";
import type { Column } from "nabla/data";

const RAMP = " .:-=+*#%@";

/** Lines that show grey `pixels` (0 black to 255 white), `height` × `width`. */
export function drawImage(pixels: Uint8Array, height: number, width: number, colours: boolean): string[] {
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = "";
    let colour = "";
    for (let x = 0; x < width; x++) {
      const top = pixels[y * width + x]!;
      const bottom = pixels[(y + 1) * width + x] ?? 0;
      if (colours) {
        const next = `\x1b[38;5;${grey(top)};48;5;${grey(bottom)}m`;
        line += next === colour ? "▀" : `${next}▀`;
        colour = next;
      } else {
        line += RAMP[Math.floor(((top + bottom) / 511) * RAMP.length)]!;
      }
    }
    lines.push(colours ? `${line}\x1b[0m` : line);
  }
  return lines;
}

/** The lines that draw one digit of a column of bytes. */
export function drawDigit({ data, shape }: Column, row: number): string[] {
  const [height, width] = shape as [number, number];
  const pixels = Uint8Array.from(data.subarray(row * height * width, (row + 1) * height * width));
  return drawImage(pixels, height, width, process.stdout.hasColors?.(256) ?? false);
}

/** Index of the highest score. */
export function largest(scores: Float32Array): number {
  let best = 0;
  for (let index = 1; index < scores.length; index++) if (scores[index]! > scores[best]!) best = index;
  return best;
}

/** The nearest of the 24 greys of the 256-colour palette. */
function grey(value: number): number {
  return 232 + Math.round((value / 255) * 23);
}

/** Columns between two images. */
export const GAP = 2;

/** Images side by side under their captions. */
export function drawRow(images: readonly { readonly caption: string; readonly lines: readonly string[] }[], width: number): string {
  const height = Math.max(0, ...images.map(({ lines }) => lines.length));
  const rows = [images.map(({ caption }) => caption.padEnd(width)).join(" ".repeat(GAP))];
  for (let y = 0; y < height; y++) rows.push(images.map(({ lines }) => lines[y] ?? " ".repeat(width)).join(" ".repeat(GAP)));
  return rows.join("\n");
}

/** Rows are the true classes, columns the predicted ones. */
export function drawConfusion(counts: readonly (readonly number[])[]): string {
  const width = Math.max(4, ...counts.flat().map((count) => `${count}`.length)) + 1;
  const cell = (text: string | number): string => `${text}`.padStart(width);
  const header = `true\\said${counts.map((_, index) => cell(index)).join("")}`;
  const rows = counts.map((row, truth) => `${`${truth}`.padStart(9)}${row.map((count, said) => shade(cell(count), count, said === truth)).join("")}`);
  return [header, ...rows].join("\n");
}

function shade(text: string, count: number, right: boolean): string {
  if (right) return styleText("green", text, { stream: process.stdout });
  return count === 0 ? styleText("dim", text, { stream: process.stdout }) : styleText("red", text, { stream: process.stdout });
}
