/** Ed25519. Keys and signatures are base64 of their raw bytes, so that they fit into JSON and one environment variable. */
export interface Signatures {
  /** False for whatever is not a signature of exactly this text by this key; never throws. */
  verify(publicKey: string, text: string, signature: string): boolean;
}

/** What holds a private key. */
export interface SigningKey {
  readonly publicKey: string;
  sign(text: string): string;
}
