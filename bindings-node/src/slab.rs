//! Values under small numbers that JavaScript can hold. A number is used again once its value was taken out, so that a
//! value that comes and goes allocates nothing.

/// Values by number.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    /// The first of the chain of empty places.
    free: usize,
}

#[derive(Debug)]
enum Place<T> {
    Taken(T),
    Free { next: usize },
}

impl<T> Slab<T> {
    /// None yet.
    pub const fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: 0 }
    }

    /// Keeps a value; answers with its number, and the value where it lies.
    #[inline]
    pub fn insert(&mut self, value: T) -> (usize, &mut T) {
        let at = self.free;
        if at == self.places.len() {
            self.places.push(Place::Free { next: at + 1 });
        }
        let place = &mut self.places[at];
        if let Place::Free { next } = *place {
            self.free = next;
        }
        *place = Place::Taken(value);
        match place {
            Place::Taken(value) => (at, value),
            Place::Free { .. } => unreachable!("it was taken just now"),
        }
    }

    /// The value of that number, if there is one.
    #[inline]
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        match self.places.get_mut(at) {
            Some(Place::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Takes the value of that number out.
    #[inline]
    pub fn remove(&mut self, at: usize) -> Option<T> {
        match self.places.get_mut(at) {
            Some(place @ Place::Taken(_)) => {
                let taken = std::mem::replace(place, Place::Free { next: self.free });
                self.free = at;
                match taken {
                    Place::Taken(value) => Some(value),
                    Place::Free { .. } => None,
                }
            }
            _ => None,
        }
    }

    /// Every value there is.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().filter_map(|place| match place {
            Place::Taken(value) => Some(value),
            Place::Free { .. } => None,
        })
    }
}
