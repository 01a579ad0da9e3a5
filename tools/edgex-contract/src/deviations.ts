import type { ContractService } from './contract.ts';

/** Where EdgeX's own services do not do what their documents say: there the services count, as clients are made for them. */
export interface Deviation {
  readonly service: ContractService;
  /** Keys from the document's root to a schema. */
  readonly at: readonly string[];
  /** `anyOf`: the alternatives of its `oneOf` may overlap. Otherwise: answers may have these fields besides. */
  readonly change: 'anyOf' | { readonly alsoHas: readonly string[] };
  readonly reason: string;
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    service: 'core-keeper',
    at: ['paths', '/kvs/key/{key}', 'get', 'responses', '200', 'content', 'application/json', 'schema'],
    change: 'anyOf',
    reason: 'neither alternative requires a field, so every answer fits both',
  },
  ...['MultiKeysResponse', 'MultiKVsResponse'].map((schema): Deviation => ({
    service: 'core-keeper',
    at: ['components', 'schemas', schema],
    change: { alsoHas: ['response'] },
    reason: 'the field is `response`, as in the examples beside it, not `keys` or `keyValues`',
  })),
];
