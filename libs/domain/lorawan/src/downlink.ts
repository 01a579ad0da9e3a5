import { z } from 'zod';

/** What an application has sent to a device, as it is asked for in JSON: bytes in hex, not more than any data rate takes. */
export const downlinkContent = z.strictObject({
  payload: z.string().regex(/^(?:[0-9a-fA-F]{2}){0,242}$/, 'bytes in hex'),
  fPort: z.int().min(1).max(223),
  confirmed: z.boolean(),
});

/** One whose payload was encrypted with the AppSKey, for the counter of a session that was named. */
export const encryptedDownlink = z.strictObject({
  session: z.string().regex(/^[0-9a-f]{16}$/, 'a session, as it was named'),
  fCntDown: z.int().min(0).max(0xffff_ffff),
  ...downlinkContent.shape,
});
