import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { CoreMetadataOptions } from './options.ts';

/** What may change while the room runs: EdgeX's `Writable` section. */
export interface Settings {
  readonly strictProfileChanges: boolean;
  readonly strictProfileDeletes: boolean;
  readonly validateUnits: boolean;
}

export interface LiveSettings {
  readonly now: Settings;
  /**
   * Takes over what is given of EdgeX's `Writable` (`{ProfileChange: {StrictDeviceProfileChanges, StrictDeviceProfileDeletes}, UoM: {Validation}}`,
   * truth values as such or, as core-keeper has them, as text); the rest stays, other keys mean nothing here.
   * @throws AntirioError invalidInput; then nothing has changed.
   */
  apply(writable: unknown): void;
  /** In EdgeX's form. */
  shown(): Readonly<Record<string, unknown>>;
}

const flag = z.union([
  z.boolean(),
  z
    .string()
    .regex(/^(true|false)$/i)
    .transform((text) => text.toLowerCase() === 'true'),
]);

/** Fields of `Writable` that are ours. */
export const writableSchema = z.object({
  ProfileChange: z
    .object({ StrictDeviceProfileChanges: flag.optional(), StrictDeviceProfileDeletes: flag.optional() })
    .optional(),
  UoM: z.object({ Validation: flag.optional() }).optional(),
});

export function createSettings(options: CoreMetadataOptions): LiveSettings {
  const { strictProfileChanges, strictProfileDeletes, validateUnits } = options;
  let now: Settings = { strictProfileChanges, strictProfileDeletes, validateUnits };
  return {
    get now() {
      return now;
    },
    apply(writable) {
      const parsed = writableSchema.safeParse(writable);
      if (!parsed.success)
        throw new AntirioError('invalidInput', `not core-metadata's Writable: ${parsed.error.message}`);
      const { ProfileChange, UoM } = parsed.data;
      now = {
        strictProfileChanges: ProfileChange?.StrictDeviceProfileChanges ?? now.strictProfileChanges,
        strictProfileDeletes: ProfileChange?.StrictDeviceProfileDeletes ?? now.strictProfileDeletes,
        validateUnits: UoM?.Validation ?? now.validateUnits,
      };
    },
    shown: () => ({
      ProfileChange: {
        StrictDeviceProfileChanges: now.strictProfileChanges,
        StrictDeviceProfileDeletes: now.strictProfileDeletes,
      },
      UoM: { Validation: now.validateUnits },
    }),
  };
}
