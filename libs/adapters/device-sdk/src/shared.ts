const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function sharedList(list: readonly unknown[], model: readonly unknown[]): readonly unknown[] {
  const shared = list.map((item, at) => withShared(item, model[at]));
  const isSame = shared.length === model.length && shared.every((item, at) => item === model[at]);
  return isSame ? model : shared;
}

function sharedFields(
  fields: Readonly<Record<string, unknown>>,
  model: Readonly<Record<string, unknown>>,
): object {
  const shared = Object.entries(fields).map(
    ([key, value]) => [key, withShared(value, Object.hasOwn(model, key) ? model[key] : undefined)] as const,
  );
  const isSame =
    shared.length === Object.keys(model).length && shared.every(([key, value]) => value === model[key]);
  return isSame ? model : Object.fromEntries(shared);
}

/**
 * JSON that equals `value`, of which everything that the model has at the same place is the model's own: of ten thousand devices
 * that are alike only what they differ in is held.
 */
export function withShared<T>(value: T, model: unknown): T {
  if (value === model) return model as T;
  if (Array.isArray(value) && Array.isArray(model)) return sharedList(value, model) as T;
  if (isFields(value) && isFields(model)) return sharedFields(value, model) as T;
  return value;
}
