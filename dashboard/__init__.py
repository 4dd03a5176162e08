"""The Streamlit pages. They read the store and never import torch."""
