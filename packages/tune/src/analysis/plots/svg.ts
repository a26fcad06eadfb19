// SVG as text: elements with escaped attributes and children, and the document around them.
// Strings in, a string out: the caller decides where the file goes.

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** `<name …>children</name>`; children are SVG already, attributes are escaped, numbers rounded to 1/100. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  let open = `<${name}`;
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined) open += ` ${key}="${typeof value === "number" ? number(value) : escapeXml(value)}"`;
  return children.length === 0 ? `${open}/>` : `${open}>${children.join("")}</${name}>`;
}

/** Escapes text for XML and drops the characters that XML cannot hold. */
export function escapeXml(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- exactly the characters XML 1.0 forbids
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
  );
}

/** A coordinate, short. */
export function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** A line of text; longer than `limit` characters its middle becomes … and it shows the whole on hover. */
export function label(x: number, y: number, content: string, attributes: Attributes = {}, limit = 40): string {
  const cut = content.length > limit;
  // Names that share a prefix differ at their ends.
  const head = Math.ceil((limit - 1) * 0.6);
  const shown = cut ? `${content.slice(0, head)}…${content.slice(content.length - Math.max(0, limit - 1 - head))}` : content;
  return element("text", { x, y, ...attributes }, escapeXml(shown), cut ? element("title", {}, escapeXml(content)) : "");
}

/** A straight line. */
export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes): string {
  return element("line", { x1, y1, x2, y2, ...attributes });
}

/** A path through points. */
export function polyline(points: readonly (readonly [number, number])[], attributes: Attributes): string {
  return element("path", { d: points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${number(x)} ${number(y)}`).join(""), fill: "none", ...attributes });
}

/** A round mark that names itself on hover. */
export function mark(x: number, y: number, fill: string, hover: string, attributes: Attributes = {}): string {
  return element("circle", { cx: x, cy: y, r: 3.5, fill, ...attributes }, element("title", {}, escapeXml(hover)));
}

/** A complete SVG file: dark on white, with a title for screen readers. */
export function document(width: number, height: number, title: string, children: readonly string[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${number(width)} ${number(height)}`, width, height, role: "img",
      "font-family": "Helvetica, Arial, sans-serif", "font-size": 12, fill: "#222222",
    },
    element("title", {}, escapeXml(title)),
    element("rect", { width, height, fill: "#ffffff" }),
    label(16, 26, title, { "font-size": 16, "font-weight": "bold" }, Math.floor((width - 24) / 8.6)),
    ...children,
  )}\n`;
}
