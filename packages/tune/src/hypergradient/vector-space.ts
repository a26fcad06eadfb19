// The three operations that hypergradients need from weights and hyper-parameters.
// An engine supplies them for its tensors or trees of tensors; Float64Array is built in.

/** A value that is there already or that an engine delivers later. */
export type Awaitable<T> = T | Promise<T>;

/** Linear algebra on values of type `V`; no operation changes its arguments. */
export interface VectorSpace<V> {
  /** The zero vector shaped as `like`. */
  readonly zeros: (like: V) => V;
  /** `a + scale * b`. */
  readonly addScaled: (a: V, scale: number, b: V) => V;
  /** Inner product. */
  readonly dot: (a: V, b: V) => Awaitable<number>;
}

/** A vector space that can enumerate its axes, which forward mode walks along. */
export interface CoordinateSpace<V> extends VectorSpace<V> {
  /** Unit vectors e_1 … e_H shaped as `like`. */
  readonly basis: (like: V) => V[];
}

/** `Float64Array` as a vector space. */
export const float64Space: CoordinateSpace<Float64Array> = {
  zeros: (like) => new Float64Array(like.length),
  addScaled(a, scale, b) {
    const sum = new Float64Array(a.length);
    for (let i = 0; i < a.length; i++) sum[i] = a[i]! + scale * b[i]!;
    return sum;
  },
  dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
    return sum;
  },
  basis: (like) =>
    Array.from({ length: like.length }, (_, axis) => {
      const unit = new Float64Array(like.length);
      unit[axis] = 1;
      return unit;
    }),
};
