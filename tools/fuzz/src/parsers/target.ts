/** At least one. */
export type Filled<Value> = readonly [Value, ...Value[]];

/** A parser, and what its inputs look like. */
export interface Target {
  readonly name: string;
  /** Inputs as they really come; everything else is made from them. */
  readonly seeds: Filled<Uint8Array>;
  /** How inputs are changed besides their bytes. */
  readonly format: 'bytes' | 'json';
  /** Bytes of the longest input that can reach the parser. */
  readonly longest: number;
  /** Reads the input and does with it what the product does next; AntirioError says that it was refused. A promise is waited for. */
  read(input: Uint8Array): unknown;
}
