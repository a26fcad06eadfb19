// The inner loop of a matrix product: a tile of C kept in registers while K runs (Goto and van de Geijn 2008, BLIS).
// Everything about the shape but the tile is a parameter, so all products of a program share these functions.
import { FunctionBuilder, add, constant, extract, get, i32, load, loadSplat, madd, mul, cellBytes, binary } from "./build.ts";
import type { Expr, IrFunction, Local } from "./ir.ts";

/** Element type and vector length of a product. */
export interface Precision {
  readonly cell: "f32" | "f64";
  readonly lanes: number;
}

/**
 * Where element (row, k) of A's strip is: "packed" k-major without gaps, "rows" at row·aStride with k contiguous,
 * "columns" at k·aStride with rows contiguous (aStride in bytes).
 */
export type LayoutA = "packed" | "rows" | "columns";

/** Where the panel of B is: "packed" k-major without gaps, "rows" at k·bStride (bytes) with columns contiguous. */
export type LayoutB = "packed" | "rows";

const known = new Map<string, IrFunction>();

/** Makes each function once, so that a module which uses it in many places holds it once. `name` says all that the code depends on. */
export function shared(name: string, make: (name: string) => IrFunction): IrFunction {
  let fn = known.get(name);
  if (fn === undefined) {
    fn = make(name);
    known.set(name, fn);
  }
  return fn;
}

/** Steps of k in one turn of the loop: full packed tiles do most of the work; the others should be short. One where an engine would load them all at once. */
const unrolling = (rows: number, layoutA: LayoutA, tileRows: number): number =>
  tileRows < 6 ? 1 : rows < tileRows || layoutA === "columns" ? 2 : layoutA === "rows" ? 4 : 8;

/**
 * C[rows, vectors·lanes] ← (accumulate ≠ 0 ? C : 0) + A·B over kc steps.
 * Parameters: a, b, c, cStride (bytes between rows of C), kc, accumulate, aStride, bStride (unused by packed layouts).
 */
export function microKernel({ cell, lanes }: Precision, rows: number, vectors: number, layoutA: LayoutA, layoutB: LayoutB, tileRows: number): IrFunction {
  const unroll = unrolling(rows, layoutA, tileRows);
  return shared(`gemm_${cell}x${lanes}_${rows}x${vectors * lanes}_${layoutA}_${layoutB}_${unroll}`, (name) => {
    const bytes = cellBytes[cell];
    const vectorBytes = bytes * lanes;
    const f = new FunctionBuilder(name);
    const a = f.parameter("a");
    const b = f.parameter("b");
    const c = f.parameter("c");
    const cStride = f.parameter("cStride");
    const kc = f.parameter("kc");
    const accumulate = f.parameter("accumulate");
    const aStride = f.parameter("aStride");
    const bStride = f.parameter("bStride");

    // V8 computes base + offset of every loadSplat apart (a plain load has it for free), and once for all of a turn that are equal.
    // So the offsets of A repeat: by row where the pointer moves at each step, by step where every row has its pointer.
    const pointersA = Array.from({ length: layoutA === "rows" ? rows : 1 }, (_, row) => f.variable(`a${row}`, add(a, mul(aStride, row))));
    const pointerB = f.variable("b0", b);
    const tile: Local[][] = Array.from({ length: rows }, (_, row) =>
      Array.from({ length: vectors }, (_unused, vector) => f.variable(`c${row}_${vector}`, constant(cell, 0, lanes))),
    );
    const elementA = (row: number, step: number): Expr => {
      switch (layoutA) {
        case "rows":
          return loadSplat(cell, get(pointersA[row]!), step * bytes, lanes);
        case "packed":
        case "columns":
          return loadSplat(cell, get(pointersA[0]!), row * bytes, lanes);
      }
    };
    const multiply = (steps: number): void => {
      const element = f.variable("a_", constant(cell, 0, lanes));
      const rowB = Array.from({ length: vectors }, (_, vector) => f.variable(`b_${vector}`, constant(cell, 0, lanes)));
      for (let step = 0; step < steps; step++) {
        const stepB = layoutB === "packed" ? step * vectors : 0;
        rowB.forEach((vectorB, vector) => f.set(vectorB, load(cell, get(pointerB), (stepB + vector) * vectorBytes, lanes)));
        tile.forEach((rowC, row) => {
          f.set(element, elementA(row, step));
          rowC.forEach((accumulator, vector) => f.set(accumulator, madd(get(element), get(rowB[vector]!), get(accumulator))));
        });
        if (layoutA !== "rows") f.set(pointersA[0]!, add(get(pointersA[0]!), layoutA === "packed" ? rows * bytes : aStride));
        if (layoutB === "rows") f.set(pointerB, add(get(pointerB), bStride));
      }
      if (layoutA === "rows") for (const pointer of pointersA) f.set(pointer, add(get(pointer), steps * bytes));
      if (layoutB === "packed") f.set(pointerB, add(get(pointerB), steps * vectors * vectorBytes));
    };
    const whole = f.let("whole", binary("and", kc, -unroll));
    f.loop("k", 0, whole, unroll, () => multiply(unroll));
    f.loop("k", whole, kc, 1, () => multiply(1));

    const pointersC = tile.map((_, row) => f.variable(`row${row}`, add(c, mul(cStride, row))));
    f.if(binary("ne", accumulate, i32(0)), () => {
      tile.forEach((rowC, row) =>
        rowC.forEach((accumulator, vector) =>
          f.set(accumulator, binary("add", load(cell, get(pointersC[row]!), vector * vectorBytes, lanes), get(accumulator))),
        ),
      );
    });
    tile.forEach((rowC, row) => f.storeVectors(cell, get(pointersC[row]!), rowC.map(get), (vector) => vector * vectorBytes));
    return f.finish();
  });
}

/**
 * C[rows, columns] ← A·B where both are contiguous along k: dot products, for too few rows to pay for packing B.
 * Parameters: a, b, c, cStride, kc, aStride, bStride (bytes between rows of A and C, and between columns of B).
 */
export function dotKernel({ cell, lanes }: Precision, rows: number, columns: number): IrFunction {
  return shared(`dot_${cell}x${lanes}_${rows}x${columns}`, (name) => {
    const bytes = cellBytes[cell];
    const vectorBytes = bytes * lanes;
    // Two chains for each sum hide the latency of the addition where registers allow.
    const chains = rows === 1 ? 2 : 1;
    const f = new FunctionBuilder(name);
    const [a, b, c, cStride, kc, aStride, bStride] = [
      f.parameter("a"), f.parameter("b"), f.parameter("c"), f.parameter("cStride"), f.parameter("kc"), f.parameter("aStride"), f.parameter("bStride"),
    ];
    const pointersA = Array.from({ length: rows }, (_, row) => f.variable(`a${row}`, add(a, mul(aStride, row))));
    const pointersB = Array.from({ length: columns }, (_, column) => f.variable(`b${column}`, add(b, mul(bStride, column))));
    const sums = pointersA.map((_, row) =>
      pointersB.map((_unused, column) =>
        Array.from({ length: chains }, (_chain, chain) => f.variable(`s${row}_${column}_${chain}`, constant(cell, 0, lanes))),
      ),
    );
    const advance = (step: number): void => {
      for (const pointer of [...pointersA, ...pointersB]) f.set(pointer, add(get(pointer), step * bytes));
    };
    const step = chains * lanes;
    const whole = f.let("whole", binary("and", kc, -step));
    f.loop("k", 0, whole, step, () => {
      for (let chain = 0; chain < chains; chain++) {
        const vectorsA = pointersA.map((pointer, row) => f.let(`va${row}`, load(cell, get(pointer), chain * vectorBytes, lanes)));
        pointersB.forEach((pointer, column) => {
          const vectorB = f.let("vb", load(cell, get(pointer), chain * vectorBytes, lanes));
          vectorsA.forEach((vectorA, row) => {
            const sum = sums[row]![column]![chain]!;
            f.set(sum, madd(vectorA, vectorB, get(sum)));
          });
        });
      }
      advance(step);
    });
    const totals = sums.map((row) =>
      row.map((parts) => {
        const [first, second] = parts;
        const sum = f.let("sum", second === undefined ? get(first!) : binary("add", get(first!), get(second)));
        let folded = Array.from({ length: lanes }, (_, lane) => extract(sum, lane));
        while (folded.length > 1) folded = Array.from({ length: folded.length / 2 }, (_, pair) => binary("add", folded[2 * pair]!, folded[2 * pair + 1]!));
        return f.variable("total", folded[0]!);
      }),
    );
    f.loop("k", whole, kc, 1, () => {
      totals.forEach((row, r) =>
        row.forEach((total, column) => f.set(total, madd(load(cell, get(pointersA[r]!)), load(cell, get(pointersB[column]!)), get(total)))),
      );
      advance(1);
    });
    totals.forEach((row, r) => {
      const pointer = f.let("row", add(c, mul(cStride, r)));
      row.forEach((total, column) => f.store(cell, pointer, get(total), column * bytes));
    });
    return f.finish();
  });
}

/**
 * C[rows, columns] ← (accumulate ≠ 0 ? C : 0) + tile, of rows `padded` elements apart.
 * Parameters: tile, c, cStride (bytes), accumulate. For panels whose last vector passes the edge of C.
 */
export function copyTile({ cell, lanes }: Precision, rows: number, columns: number, padded: number): IrFunction {
  return shared(`tile_${cell}x${lanes}_${rows}x${columns}_of_${padded}`, (name) => {
    const bytes = cellBytes[cell];
    const f = new FunctionBuilder(name);
    const tile = f.parameter("tile");
    const row = f.variable("row", f.parameter("c"));
    const cStride = f.parameter("cStride");
    const accumulate = f.parameter("accumulate");
    const pieces: { readonly column: number; readonly lanes: number }[] = [];
    for (let column = 0; column < columns; column += pieces.at(-1)!.lanes) pieces.push({ column, lanes: columns - column >= lanes ? lanes : 1 });
    for (let r = 0; r < rows; r++) {
      const values = pieces.map((piece) => f.variable(`t${piece.column}`, load(cell, tile, (r * padded + piece.column) * bytes, piece.lanes)));
      f.if(binary("ne", accumulate, i32(0)), () => {
        pieces.forEach((piece, index) => {
          const value = values[index]!;
          f.set(value, binary("add", load(cell, get(row), piece.column * bytes, piece.lanes), get(value)));
        });
      });
      pieces.forEach((piece, index) => f.store(cell, get(row), get(values[index]!), piece.column * bytes));
      f.set(row, add(get(row), cStride));
    }
    return f.finish();
  });
}
