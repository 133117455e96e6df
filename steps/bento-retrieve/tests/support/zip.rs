//! Zip archives made byte by byte, so that they can contradict themselves.

use flate2::Crc;

pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) local_name: Vec<u8>,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) mode: u32,
    pub(crate) crc: u32,
    pub(crate) packed: u32,
    pub(crate) unpacked: u32,
    pub(crate) shares_data_of_first: bool,
    data: Vec<u8>,
}

pub(crate) fn file(name: &str, contents: &[u8]) -> Entry {
    let mut crc = Crc::new();
    crc.update(contents);
    let size = u32::try_from(contents.len()).unwrap();
    Entry {
        name: name.into(),
        local_name: name.into(),
        flags: 0,
        method: 0,
        mode: 0o100_644,
        crc: crc.sum(),
        packed: size,
        unpacked: size,
        shares_data_of_first: false,
        data: contents.to_vec(),
    }
}

pub(crate) struct Zip(Vec<Entry>);

impl Zip {
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self(entries.into_iter().collect())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.claiming(u16::try_from(self.0.len()).unwrap())
    }

    /// With an end record that counts so many entries.
    pub(crate) fn claiming(&self, count: u16) -> Vec<u8> {
        let (mut zip, mut table) = (Vec::new(), Vec::new());
        for entry in &self.0 {
            let at = if entry.shares_data_of_first { 0 } else { u32::try_from(zip.len()).unwrap() };
            zip.extend(b"PK\x03\x04\x14\0");
            zip.extend(entry.both(&entry.local_name));
            zip.extend(&entry.local_name);
            zip.extend(&entry.data);
            table.extend(b"PK\x01\x02\x14\x03\x14\0");
            table.extend(entry.both(&entry.name));
            table.extend([0; 6]);
            table.extend((entry.mode << 16).to_le_bytes());
            table.extend(at.to_le_bytes());
            table.extend(&entry.name);
        }
        let (start, size) =
            (u32::try_from(zip.len()).unwrap(), u32::try_from(table.len()).unwrap());
        zip.extend(table);
        zip.extend(b"PK\x05\x06\0\0\0\0");
        zip.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
        zip.extend([size.to_le_bytes(), start.to_le_bytes()].concat());
        zip.extend([0; 2]);
        zip
    }
}

impl Entry {
    /// What stands both in front of the data and in the table of contents.
    fn both(&self, name: &[u8]) -> Vec<u8> {
        let mut bytes = [self.flags.to_le_bytes(), self.method.to_le_bytes()].concat();
        bytes.extend([0; 4]);
        bytes.extend([self.crc, self.packed, self.unpacked].map(u32::to_le_bytes).concat());
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }
}
