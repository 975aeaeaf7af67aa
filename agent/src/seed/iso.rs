//! A CD image with a few small files in its root: ISO 9660 (ECMA-119) with Joliet, by whose names
//! Linux shows them. So small a part of the format needs no other program, and none to be installed.

const SECTOR: usize = 2048;
/// Of the system area, which is anyone's and here empty.
const RESERVED: usize = 16;
/// Primary and Joliet descriptor and the set's end, then two path tables and a folder for each.
const FIRST_FILE: u32 = 25;
const TERMINATOR: u8 = 255;
/// "UCS-2, level 3", as Joliet says it.
const JOLIET: &[u8] = b"%/E";
/// Where one descriptor's tables and folder are.
const PRIMARY: Places = Places {
    little_table: 19,
    big_table: 20,
    folder: 23,
};
const SUPPLEMENTARY: Places = Places {
    little_table: 21,
    big_table: 22,
    folder: 24,
};
/// The length of a table with nothing but the root.
const TABLE: u32 = 10;
const IS_FOLDER: u8 = 2;

#[derive(Clone, Copy)]
struct Places {
    little_table: u32,
    big_table: u32,
    folder: u32,
}

/// A file's place.
struct Extent<'f> {
    plain: &'f str,
    joliet: &'f str,
    sector: u32,
    size: u32,
}

/// An image labelled `volume`, with `files` (name on the plain side, name, content) in order of the
/// names. A folder has one sector, so that there are at most twenty or so.
pub(super) fn image(volume: &str, files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut extents = Vec::new();
    for (plain, joliet, bytes) in files {
        let sectors = content.len() / SECTOR;
        extents.push(Extent {
            plain,
            joliet,
            sector: FIRST_FILE.saturating_add(count(sectors)),
            size: count(bytes.len()),
        });
        content.extend_from_slice(bytes);
        pad(&mut content);
    }
    let total = FIRST_FILE.saturating_add(count(content.len() / SECTOR));
    let mut image = vec![0; RESERVED * SECTOR];
    image.extend(descriptor(1, volume, total, PRIMARY));
    image.extend(descriptor(2, volume, total, SUPPLEMENTARY));
    image.extend(terminator());
    for places in [PRIMARY, SUPPLEMENTARY] {
        image.extend(table(places.folder.to_le_bytes(), 1u16.to_le_bytes()));
        image.extend(table(places.folder.to_be_bytes(), 1u16.to_be_bytes()));
    }
    for (places, is_joliet) in [(PRIMARY, false), (SUPPLEMENTARY, true)] {
        image.extend(folder(places.folder, &extents, is_joliet));
    }
    image.extend(content);
    image
}

/// Of things that are counted in a few thousands.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
}

fn both_32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    let bytes = number.to_le_bytes().into_iter().chain(number.to_be_bytes());
    both.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    both
}

fn both_16(number: u16) -> [u8; 4] {
    let [a, b] = number.to_le_bytes();
    let [c, d] = number.to_be_bytes();
    [a, b, c, d]
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// ECMA-119 8.4 and 8.5, field by field.
fn descriptor(kind: u8, volume: &str, total: u32, places: Places) -> Vec<u8> {
    let is_joliet = kind == 2;
    let text = |text: &str, length: usize| {
        let (mut bytes, blank): (Vec<u8>, &[u8]) = match is_joliet {
            true => (ucs2(text), &[0, b' ']),
            false => (text.as_bytes().to_vec(), b" "),
        };
        while bytes.len() < length {
            bytes.extend(blank);
        }
        bytes.truncate(length);
        bytes
    };
    let mut out = vec![kind];
    out.extend(b"CD001\x01\0");
    out.extend(text("", 32));
    out.extend(text(volume, 32));
    out.extend([0; 8]);
    out.extend(both_32(total));
    out.extend(match is_joliet {
        true => JOLIET,
        false => &[0; 3],
    });
    out.extend([0; 29]);
    out.extend(both_16(1));
    out.extend(both_16(1));
    out.extend(both_16(2048));
    out.extend(both_32(TABLE));
    out.extend(places.little_table.to_le_bytes());
    out.extend([0; 4]);
    out.extend(places.big_table.to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(&[0], places.folder, count(SECTOR), IS_FOLDER));
    // Volume set, publisher, preparer, application; copyright, abstract and bibliographic file.
    out.extend(text("", 4 * 128 + 3 * 37));
    for _ in 0..4 {
        // No date is known, and one would make every image differ.
        out.extend(b"0000000000000000\0");
    }
    out.push(1);
    pad(&mut out);
    out
}

fn terminator() -> Vec<u8> {
    let mut out = vec![TERMINATOR];
    out.extend(b"CD001\x01");
    pad(&mut out);
    out
}

/// ECMA-119 9.4: the root, which is its own parent.
fn table(folder: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut out = vec![1, 0];
    out.extend(folder);
    out.extend(parent);
    out.extend([0, 0]);
    pad(&mut out);
    out
}

fn folder(own: u32, extents: &[Extent<'_>], is_joliet: bool) -> Vec<u8> {
    let size = count(SECTOR);
    let mut out = record(&[0], own, size, IS_FOLDER);
    out.extend(record(&[1], own, size, IS_FOLDER));
    for extent in extents {
        let name = match is_joliet {
            true => ucs2(extent.joliet),
            false => extent.plain.as_bytes().to_vec(),
        };
        out.extend(record(&name, extent.sector, extent.size, 0));
    }
    pad(&mut out);
    out
}

/// ECMA-119 9.1.
fn record(name: &[u8], sector: u32, size: u32, flags: u8) -> Vec<u8> {
    const FIXED: usize = 33;
    let length = (FIXED + name.len()).next_multiple_of(2);
    let mut out = vec![u8::try_from(length).unwrap_or(u8::MAX), 0];
    out.extend(both_32(sector));
    out.extend(both_32(size));
    out.extend([0; 7]);
    out.extend([flags, 0, 0]);
    out.extend(both_16(1));
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend(name);
    out.resize(length, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str, &[u8]); 3] = [
        ("A.;1", "a-file", b"one"),
        ("B.;1", "an-empty-one", b""),
        ("C.;1", "more-than-a-sector", &[7; 5000]),
    ];

    fn labelled(volume: &str) -> Vec<u8> {
        image(volume, &FILES)
    }

    fn number(image: &[u8], at: usize) -> usize {
        let bytes: [u8; 8] = image[at..at + 8].try_into().unwrap();
        let little = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        let big = u32::from_be_bytes(bytes[4..].try_into().unwrap());
        assert_eq!(little, big, "at {at}");
        little as usize
    }

    /// The names and contents that stand in the folder of the descriptor in this sector.
    fn listing(image: &[u8], descriptor: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let root = descriptor * SECTOR + 156;
        let (mut at, size) = (number(image, root + 2) * SECTOR, number(image, root + 10));
        let end = at + size;
        let mut found = Vec::new();
        while at < end && image[at] != 0 {
            let (start, length) = (number(image, at + 2) * SECTOR, number(image, at + 10));
            let name = image[at + 33..at + 33 + image[at + 32] as usize].to_vec();
            found.push((name, image[start..start + length].to_vec()));
            at += image[at] as usize;
        }
        found.split_off(2)
    }

    #[test]
    fn both_folders_have_the_files() {
        let image = labelled("CIDATA");
        assert_eq!(image.len() % SECTOR, 0);
        assert_eq!(number(&image, 16 * SECTOR + 80) * SECTOR, image.len());
        for (descriptor, joliet) in [(16, false), (17, true)] {
            assert_eq!(&image[descriptor * SECTOR + 1..][..5], b"CD001");
            let wanted = FILES.map(|(plain, name, content)| {
                let name = match joliet {
                    true => ucs2(name),
                    false => plain.as_bytes().to_vec(),
                };
                (name, content.to_vec())
            });
            assert_eq!(listing(&image, descriptor), wanted);
        }
    }

    #[test]
    fn the_volume_has_its_name_and_the_same_files_make_the_same_image() {
        let image = labelled("CIDATA");
        assert_eq!(&image[16 * SECTOR + 40..][..7], b"CIDATA ");
        assert_eq!(&image[17 * SECTOR + 40..][..4], b"\0C\0I");
        assert_eq!(image, labelled("CIDATA"));
    }
}
