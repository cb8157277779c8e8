import { ed25519, signingKeyOf } from './ed25519';

/** RFC 8032, section 7.1, test 1: the empty message. */
const SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const PUBLIC = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex').toString('base64');
const SIGNATURE = Buffer.from(
  'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  'hex',
).toString('base64');

describe('signatures of Ed25519', () => {
  const key = signingKeyOf(SEED);

  it('are those of RFC 8032', () => {
    expect(key.publicKey).toBe(PUBLIC);
    expect(key.sign('')).toBe(SIGNATURE);
    expect(ed25519.verify(PUBLIC, '', SIGNATURE)).toBe(true);
  });

  it('hold for exactly one text, by exactly one key', () => {
    const other = signingKeyOf(Buffer.alloc(32, 1));
    const signature = key.sign('pay 5');
    expect(ed25519.verify(key.publicKey, 'pay 5', signature)).toBe(true);
    expect(ed25519.verify(key.publicKey, 'pay 50', signature)).toBe(false);
    expect(ed25519.verify(other.publicKey, 'pay 5', signature)).toBe(false);
  });

  it.each(['', 'nonsense', 'AAAA', SIGNATURE])('are not found in %j as key or as signature of another', (text) => {
    expect(ed25519.verify(text, 'pay', SIGNATURE)).toBe(false);
    expect(ed25519.verify(PUBLIC, 'pay', text)).toBe(false);
  });

  it('are not made with a key of another length', () => {
    expect(() => signingKeyOf(Buffer.alloc(31))).toThrow(expect.objectContaining({ code: 'InvalidKey' }));
  });
});
