/** The names under which images and objects are kept, here and in storage networks. */

export const imagePin = (imageId: string): string => `image/${imageId}`;

export const imageOfPin = (name: string): string | undefined => /^image\/(.+)$/.exec(name)?.[1];

export const objectPin = (cid: string): string => `object/${cid}`;

export const objectOfPin = (name: string): string | undefined => /^object\/(.+)$/.exec(name)?.[1];
